"""The steps that experiments share. Free of TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.generation.settings import GanSettings, GenerationSettings
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.purification.classical.settings import NETWORK
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.workflows import estimates, tasks
from melanoma_tf.workflows.experiment import device, images
from melanoma_tf.workflows.steps import Estimate, Step
from melanoma_tf.workflows.tasks import Tasks

MANIFEST, WEIGHTS = ("manifest.json",), ("config.json", "weights.npz")
OCCLUDED = 0.25  # Fraction of the images that get a purified copy.
_SCORES = ("metrics.json", "predictions.csv", "report.html")
_TEST_FRACTION = 0.15


def data_steps(work: Tasks, phantom_fractions: Mapping[str, float]) -> list[Step]:
    """Phantoms, where there are no data sets, and records."""
    settings, data = work.settings, work.data
    size, built = settings.image_size_px, work.build_settings().to_json()
    written = estimates.records(images(work), size)
    folders = {} if data is None else data.folders
    records = Step("records", tasks.RAW, work.build_records,
                   ("phantoms",) if data is None else (), {**built, "sources": list(folders)},
                   tuple(folders.values()), MANIFEST, continues=True, estimate=written)  # fmt: skip
    if data is not None:
        return [records]
    drawn = {"phantoms": settings.phantoms, "size_px": size, "seed": settings.seed}
    draw = functools.partial(work.draw_phantoms, phantom_fractions)
    return [
        Step(
            "phantoms",
            tasks.PHANTOMS,
            draw,
            (),
            drawn,
            estimate=estimates.phantoms(images(work), size),
        ),
        records,
    ]


def purify_step(work: Tasks, chosen: PurificationSettings, needs: Sequence[str]) -> Step:
    """Purified copies, in addition to the images."""
    purified = estimates.purification(chosen.method, images(work))
    written = estimates.records(images(work) * (1 + OCCLUDED), work.settings.image_size_px)
    estimate = Estimate(purified + written.seconds, written.megabytes)
    return Step("purify", tasks.PURIFIED, functools.partial(work.purify, chosen), tuple(needs),
                {"method": chosen.method}, _networks(chosen.method), MANIFEST,
                estimate=estimate)  # fmt: skip


def gan_steps(
    work: Tasks, suffix: str, run: str, records: str, gan: GanSettings, rounds: float, count: int
) -> list[Step]:
    """The training of a GAN, and images of it.

    Args:
        work: the experiment.
        suffix: ends the names of the steps.
        run: the folder of the training.
        records: the folder of the images.
        gan: settings of the training.
        rounds: of the training, in all.
        count: images to generate of each class.
    """
    classes, size = len(gan.class_names), gan.image_size_px
    shown = classes * gan.batch_size * rounds / gan.epochs
    trained = estimates.training("gan", size, shown, gan.epochs, device(work.settings))
    chosen = GenerationSettings(count=count, min_mse=work.settings.min_mse, seed=work.settings.seed)
    return [
        Step(f"gan{suffix}", run, functools.partial(work.train_gan, gan), ("records",),
             gan.to_json(), contents=WEIGHTS, continues=True, estimate=trained),
        Step(f"generate{suffix}", records, functools.partial(work.generate, run, chosen),
             ("records", f"gan{suffix}"), chosen.to_json(), contents=MANIFEST,
             estimate=estimates.generated(count * classes, size, device(work.settings))),
    ]  # fmt: skip


def classifier_step(
    work: Tasks,
    name: str,
    records: Sequence[str],
    needs: Sequence[str],
    chosen: ClassifierSettings,
    examples: float,
) -> Step:
    """The training of a classifier on record folders, with so many examples in an epoch."""
    make = functools.partial(work.train_classifier, records, chosen)
    estimate = estimates.training(
        work.settings.backbone,
        work.settings.classifier_size_px,
        examples,
        chosen.epochs,
        device(work.settings),
    )
    return Step(name, f"runs/{name}", make, tuple(needs), chosen.to_json(), contents=WEIGHTS,
                continues=True, estimate=estimate)  # fmt: skip


def evaluation_step(work: Tasks, name: str, run: str, purify: str | None = None) -> Step:
    """The scores of a run on the test images; `purify` as in `EvaluationSettings`."""
    settings = work.settings
    count = images(work) * _TEST_FRACTION
    tested = estimates.inference(
        settings.backbone, settings.classifier_size_px, count, device(settings)
    )
    purified, chosen = 0.0, dict[str, Any](_scale(work))
    if purify is not None:
        chosen["purify"] = purify
        purified = 0.0 if purify == "none" else estimates.purification(purify, count)
    return Step(f"evaluate-{name}", f"{tasks.EVALUATION}/{name}",
                functools.partial(work.evaluate, f"runs/{run}", purify), ("records", run), chosen,
                _networks(purify), _SCORES,
                estimate=Estimate(tested.seconds + purified, tested.megabytes))  # fmt: skip


def comparison_step(work: Tasks, first: str, second: str, suffix: str = "") -> Step:
    """The paired differences of two evaluations."""
    return Step(f"compare{suffix}", f"{tasks.EVALUATION}/comparison{suffix}",
                functools.partial(work.compare, first, second),
                (f"evaluate-{first}", f"evaluate-{second}"), _scale(work),
                contents=("comparison.json",))  # fmt: skip


def export_step(
    work: Tasks, segmenter: str, needs: Sequence[str], purify: str | None = None
) -> Step:
    """The proposed classifier as a SavedModel."""
    chosen = {} if purify is None else {"purify": purify}
    networks = _networks(purify) + (_shipped("segmenter") if segmenter == SHIPPED else ())
    return Step("export", tasks.MODEL, functools.partial(work.export, segmenter, purify),
                tuple(needs), chosen, networks, ("*/saved_model.pb",), continues=True,
                adds_versions=True, estimate=Estimate(40.0, 100.0))  # fmt: skip


def _networks(purify: str | None) -> tuple[Path, ...]:
    """The files of the networks that a purification method takes: others make other images."""
    return _shipped("occlusion_detector", "inpainter") if purify == NETWORK else ()


def _shipped(*names: str) -> tuple[Path, ...]:
    return tuple(shipped_folder() / f"{name}.npz" for name in names)


def _scale(work: Tasks) -> dict[str, int]:
    return {"rounds": work.settings.rounds, "seed": work.settings.seed}
