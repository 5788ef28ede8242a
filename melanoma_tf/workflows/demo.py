"""The whole system on synthetic images: the ISIC 2017 experiment on phantoms, and a prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.files import read_json
from melanoma_tf.datasets.image_files import find_images
from melanoma_tf.workflows.experiment import run_experiment
from melanoma_tf.workflows.isic2017 import plan_experiment
from melanoma_tf.workflows.ledger import Entry
from melanoma_tf.workflows.settings import ISIC2017_SCALES, DemoSettings, Isic2017Settings
from melanoma_tf.workflows.tasks import MODEL, PHANTOMS, REPORT

_SERVED = 5
_GAN_EPOCHS, _SEGMENTER_EPOCHS = 3, 0.5  # For each epoch of the classifiers.


@dataclass(frozen=True)
class DemoResult:
    """Output of the demo.

    Attributes:
        steps: what `steps.json` says, by name of the step.
        results: the content of `results.json`: scores of both classifiers, and their comparison.
        served: a few file names with the class that the exported model finds likeliest.
    """

    steps: Mapping[str, Entry]
    results: Mapping[str, Any]
    served: tuple[tuple[str, str], ...]


def run_demo(
    work_dir: Path,
    settings: DemoSettings,
    *,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> DemoResult:
    """Run the experiment on phantoms: every step that is not done, in a folder of its own.

    Phantoms, records, a segmenter, purified copies, generated melanomas, a baseline and a proposed
    classifier with balanced batches, their comparison, the exported model, and the report.

    Args:
        work_dir: folder of all outputs.
        settings: see `DemoSettings`.
        overwrite: make every step again.
        log: takes a line for each step and epoch.

    Raises:
        MelanomaError: `work_dir` holds something else, or another demo is running in it.
    """
    experiment = plan_experiment(
        (), work_dir, demo_settings(settings), workers=settings.workers, log=log
    )
    first = experiment.steps[0].name if overwrite else None
    steps = run_experiment(experiment, from_step=first, log=log)
    return DemoResult(steps, read_json(work_dir / REPORT / "results.json"), _predict(work_dir))


def demo_settings(settings: DemoSettings) -> Isic2017Settings:
    """Return the settings of the experiment.

    With fewer epochs than the demo's own, the novelty filter lets all but exact copies pass: the
    images of a generator that has learned nothing are all alike.
    """
    scale = ISIC2017_SCALES["demo"]
    return dataclasses.replace(
        scale,
        phantoms=settings.images,
        image_size_px=settings.image_size_px,
        segmenter_epochs=max(1, round(_SEGMENTER_EPOCHS * settings.epochs)),
        gan_epochs=_GAN_EPOCHS * settings.epochs,
        baseline_epochs=settings.epochs,
        proposed_epochs=settings.epochs,
        batch_size=settings.batch_size,
        min_mse=0.0 if settings.epochs < scale.baseline_epochs else scale.min_mse,
        seed=settings.seed,
    )


def _predict(work_dir: Path) -> tuple[tuple[str, str], ...]:
    # Imported here: it loads TensorFlow, which a demo that is refused does without.
    from melanoma_tf.serving.loader import load_classifier

    images = find_images([work_dir / PHANTOMS / "ISIC-2017_Training_Data"]).paths[:_SERVED]
    served = load_classifier(work_dir / MODEL).predict(images)
    return tuple((answer.path.name, answer.best) for answer in served)
