"""Train a classifier on record folders, and export it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.backbones.classifier import KIND, build_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.batches import BatchSettings
from melanoma_tf.classification.calibrate import calibrate_trained
from melanoma_tf.classification.cross_validation import fold_config, training_view
from melanoma_tf.classification.folds import FoldSettings
from melanoma_tf.classification.optimization import OptimizationSettings, compile_classifier
from melanoma_tf.classification.purified_inputs import purified_inputs
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.networks import SHIPPED
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.fit import fit
from melanoma_tf.training.run_config import further_folders, run_config
from melanoma_tf.training.validation import validation_records

_LARGEST_DEFAULT_SIZE_PX = 224


@dataclass(frozen=True)
class ClassifierSettings:
    """Everything that decides a classifier's training.

    Attributes:
        backbone: one of `backbones.networks.BACKBONES`.
        weights: `imagenet`, `none` or a file.
        image_size_px: side of the network's input; 0 takes what the records hold, at most 224.
        resize_px: see `classification.data.ClassifierInputs`.
        epochs: passes over the training split.
        batch_size: global, over all replicas.
        fitting: see `classification.optimization.OptimizationSettings`.
        average_momentum, patience: see `training.FitSettings`.
        batches: see `classification.batches.BatchSettings`.
        purify, purify_method: see `classification.data.ClassifierInputs`.
        purify_network: a finished inpainter run, or `shipped`; for the method `network`.
        cross_validation: the fold to hold out, see `classification.folds`; by default the records'
            own validation split.
        strategy, replicas, mixed_precision: see `training`.
        seed: of weights, order and augmentation.
    """

    backbone: str = "resnet50"
    weights: str = "imagenet"
    image_size_px: int = 0
    resize_px: int = 0
    epochs: int = 30
    batch_size: int = 32
    fitting: OptimizationSettings = field(default_factory=OptimizationSettings)
    average_momentum: float = 0.0
    patience: int = 0
    batches: BatchSettings = field(default_factory=BatchSettings)
    purify: str = "none"
    purify_method: str = "classical"
    purify_network: str = "shipped"
    cross_validation: FoldSettings = field(default_factory=FoldSettings)
    strategy: str = "single"
    replicas: int = 0
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fitting.frozen_epochs and self.weights == "none":
            raise MelanomaError(
                f"expected weights to start from with {self.fitting.frozen_epochs} frozen epochs; "
                "found weights none: a random backbone is not worth freezing"
            )
        if self.fitting.class_weights != "none" and self.batches.balance != "none":
            raise MelanomaError(
                "expected class weights or balanced batches; found both, which would count scarce "
                "classes twice over"
            )


def train_classifier(
    records: RecordsLike,
    run_dir: Path,
    settings: ClassifierSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train on the `train` split, choose the best epoch on `validation`, and calibrate on it.

    Args:
        records: a record folder, or several of one taxonomy; the first of them that has a
            validation split is the one that epochs are chosen by, unless a fold is held out.
        run_dir: the run folder to make, or to go on with.
        settings: see `ClassifierSettings`.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that is there.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records or such as cannot be mixed,
            fewer than two classes or too few images to train on, unobtainable weights, an
            existing run folder, a loss that is not finite.
    """
    strategy = training.make_strategy(settings.strategy, settings.replicas)
    records = RecordSet.read(records)
    records.check_mixture()
    records = training_view(records, settings.cross_validation, log)
    settings.batches.check(records)
    counts = _counts_by_class(records, settings, log)
    settings = dataclasses.replace(settings, image_size_px=_image_size(settings, records))
    inputs = classifier_inputs(dataclasses.asdict(settings), settings.batch_size)
    schedule = _schedule(settings, math.ceil(sum(counts) / settings.batch_size))

    def compile_model(model: keras.Model) -> keras.Model:
        return compile_classifier(
            model,
            settings.fitting,
            counts=counts,
            steps_per_epoch=schedule.steps_per_epoch,
            epochs=schedule.epochs,
        )

    return fit(
        lambda: _build(settings, len(records.class_names)),
        compile_model,
        training=lambda done: pipeline.training_batches(records, inputs, first_example=done),
        validation=_validation(records, inputs, log),
        strategy=strategy,
        settings=schedule,
        run=training.Run(run_dir, _config(records, settings), resume, overwrite, records.folders),
        examples_per_step=settings.batch_size,
        finish=lambda folder: calibrate_trained(folder, records, inputs, log),
        log=log,
    )


def _build(settings: ClassifierSettings, num_classes: int) -> keras.Model:
    return build_classifier(
        backbone=settings.backbone,
        num_classes=num_classes,
        image_size_px=settings.image_size_px,
        weights=settings.weights,
    )


def _schedule(settings: ClassifierSettings, steps_per_epoch: int) -> training.FitSettings:
    return training.FitSettings(
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        mixed_precision=settings.mixed_precision,
        seed=settings.seed,
        average_momentum=settings.average_momentum,
        patience=settings.patience,
    )


def classifier_inputs(config: dict[str, Any], batch_size: int) -> pipeline.ClassifierInputs:
    """How the network sees images, from a run's `config.json`."""
    inputs = pipeline.ClassifierInputs(
        config["image_size_px"],
        batch_size,
        BatchSettings.from_json(config["batches"]),
        seed=config["seed"],
        resize_px=config["resize_px"],
    )
    return purified_inputs(
        inputs,
        config["purify"],
        config.get("purify_method", "classical"),
        config.get("purify_network", SHIPPED),
    )


def _image_size(settings: ClassifierSettings, records: RecordSet) -> int:
    """The size asked for, else the crop that needs no enlargement of the records' images."""
    if settings.image_size_px:
        return settings.image_size_px
    stored = int(records.manifests[0].settings.get("image_size", _LARGEST_DEFAULT_SIZE_PX))
    return min(_LARGEST_DEFAULT_SIZE_PX, stored * 7 // 8)


def _counts_by_class(
    records: RecordSet, settings: ClassifierSettings, log: Callable[[str], None]
) -> list[int]:
    """Training examples of an epoch by class; fewer than two classes with any are an error."""
    names = records.class_names
    counts = settings.batches.examples_by_class(records)
    absent = ", ".join(name for name, count in zip(names, counts) if not count)
    if sum(count > 0 for count in counts) < 2:
        raise MelanomaError(
            f"{records}: expected training examples of at least two classes; "
            f"there are none of {absent}"
        )
    if absent:
        log(f"warning: no training example of {absent}; it cannot be learned")
    return counts


def _validation(
    records: RecordSet,
    inputs: pipeline.ClassifierInputs,
    log: Callable[[str], None],
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    batches = pipeline.evaluation_batches(chosen, "validation", inputs)
    return batches.map(lambda batch: (batch["image"], batch["label"]))


def _config(records: RecordSet, settings: ClassifierSettings) -> dict[str, Any]:
    return {
        **run_config(KIND, records.folders[0], records.manifests[0], settings),
        **further_folders(records),
        **fold_config(records),
        "taxonomy": records.taxonomy,
        "class_names": list(records.class_names),
    }
