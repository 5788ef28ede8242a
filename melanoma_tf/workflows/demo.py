"""The whole chain on synthetic images: phantoms, records, training, scores, a served model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.classification.train import train_classifier
from melanoma_tf.core.files import write_json
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.image_files import find_images
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.workflows.settings import DemoSettings


@dataclass(frozen=True)
class DemoResult:
    """Output of the demo.

    Attributes:
        stages: per stage its name, where its output is, and how long it took in seconds.
        metrics: of the test split, as `evaluate` writes them.
        served: a few file names with the class that the exported model finds likeliest.
    """

    stages: list[tuple[str, Path, float]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    served: list[tuple[str, str]] = field(default_factory=list)


def run_demo(
    work_dir: Path,
    settings: DemoSettings,
    *,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> DemoResult:
    """Run every stage once, in a folder of its own.

    Args:
        work_dir: gets `phantoms/`, `records/`, `runs/demo/` and `saved_models/demo/`.
        settings: see `DemoSettings`.
        overwrite: replace what an earlier demo left there.
        log: takes one line per stage and epoch.

    Raises:
        MelanomaError: `work_dir` is not empty.
    """
    refuse_existing(work_dir, overwrite)
    work_dir.mkdir(parents=True, exist_ok=True)
    write_json(work_dir / "demo.json", dataclasses.asdict(settings))
    phantoms, records = work_dir / "phantoms", work_dir / "records"
    run_dir, model = work_dir / "runs" / "demo", work_dir / "saved_models" / "demo"
    result = DemoResult()

    @contextmanager
    def stage(name: str, output: Path) -> Iterator[None]:
        log(f"{name} -> {output}")
        started = time.perf_counter()
        yield
        result.stages.append((name, output, time.perf_counter() - started))

    with stage("draw phantoms", phantoms):
        write_phantoms(
            phantoms,
            settings.images,
            settings=PhantomSettings(settings.image_size_px),
            seed=settings.seed,
            overwrite=overwrite,
        )
    with stage("build-records", records):
        build_records(
            [list_source("isic2017", phantoms)],
            BuildSettings("isic2017", settings.image_size_px, seed=settings.seed),
            records,
            workers=settings.workers,
            overwrite=overwrite,
        )
    with stage("train classifier", run_dir):
        train_classifier(records, run_dir, _training(settings), overwrite=overwrite, log=log)
    with stage("evaluate", run_dir / "metrics.json"):
        result.metrics.update(evaluate_classifier(run_dir, records))
    with stage("export", model):
        export_run(run_dir, model)
    with stage("predict", model):
        images = find_images([phantoms / "ISIC-2017_Training_Data"]).paths[:5]
        served = load_classifier(model).predict(images)
        result.served.extend((answer.path.name, answer.best) for answer in served)
    return result


def _training(settings: DemoSettings) -> ClassifierSettings:
    return ClassifierSettings(
        network=NetworkSettings("small", "none"),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
