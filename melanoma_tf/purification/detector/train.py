"""Train an occlusion detector on record folders."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.purification.detector import data as pipeline
from melanoma_tf.purification.detector.losses import compile_detector
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.detector.previews import DetectorPreview
from melanoma_tf.purification.networks import DETECTOR_KIND
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.initial_weights import start_from
from melanoma_tf.training.run_config import further_folders, run_config
from melanoma_tf.training.schedules import rate_by_name
from melanoma_tf.training.validation import validation_records


@dataclass(frozen=True)
class DetectorSettings:
    """Everything that decides a detector's training.

    Attributes:
        image_size_px, clean_fraction, coarse_fraction, augment: see
            `purification.detector.data.DetectorInputs`.
        base_filters, levels: see `purification.detector.network.build_detector`.
        weights: `none`, or the `model.keras` of another run of the same network to start from.
        epochs: passes over the training split.
        learning_rate, schedule: of Adam; see `training.schedules.rate_by_name`.
        batch_size: global, over all replicas.
        average_momentum: see `training.FitSettings`.
        strategy, replicas, mixed_precision: see `training`.
        seed: of weights, order, drawings and augmentation.
    """

    image_size_px: int = 256
    base_filters: int = 12
    levels: int = 3
    weights: str = "none"
    clean_fraction: float = 0.1
    coarse_fraction: float = 0.4
    augment: bool = True
    epochs: int = 20
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    batch_size: int = 4
    average_momentum: float = 0.0
    strategy: str = "single"
    replicas: int = 0
    mixed_precision: bool = False
    seed: int = 0


def train_detector(
    records: RecordsLike,
    run_dir: Path,
    settings: DetectorSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train a detector on the `train` split, and choose the best epoch on `validation`.

    Args:
        records: a record folder, or several; the first that has a validation split is the one
            that epochs are chosen by.
        run_dir: the run folder to make, or to go on with.
        settings: see `DetectorSettings`.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that is there.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records, impossible settings, an existing run folder, a loss that
            is not finite.
    """
    strategy = training.make_strategy(settings.strategy, settings.replicas)
    records = RecordSet.read(records)
    records.check_mixture()
    inputs = detector_inputs(settings)
    validation = _validation(records, inputs, log)
    steps = math.ceil(records.count(split="train") / settings.batch_size)
    rate = rate_by_name(settings.schedule, settings.learning_rate, steps * settings.epochs)
    config = {
        **run_config(DETECTOR_KIND, records.folders[0], records.manifests[0], settings),
        **further_folders(records),
    }
    run = training.Run(run_dir, config, resume, overwrite, records.folders)
    return training.fit(
        lambda: _build(settings),
        lambda model: compile_detector(model, rate),
        training=lambda done: pipeline.training_batches(
            records.folders, inputs, first_example=done
        ),
        validation=validation,
        strategy=strategy,
        settings=training.FitSettings(
            epochs=settings.epochs,
            steps_per_epoch=steps,
            mixed_precision=settings.mixed_precision,
            monitor="val_dice",
            seed=settings.seed,
            average_momentum=settings.average_momentum,
        ),
        run=run,
        examples_per_step=settings.batch_size,
        callbacks=[] if validation is None else [DetectorPreview(validation, run.working / "logs")],
        log=log,
    )


def detector_inputs(settings: DetectorSettings) -> pipeline.DetectorInputs:
    """The settings of the input pipeline."""
    return pipeline.DetectorInputs(
        image_size_px=settings.image_size_px,
        batch_size=settings.batch_size,
        clean_fraction=settings.clean_fraction,
        coarse_fraction=settings.coarse_fraction,
        augment=settings.augment,
        seed=settings.seed,
    )


def _build(settings: DetectorSettings) -> keras.Model:
    model = build_detector(settings.base_filters, settings.levels)
    if settings.weights != "none":
        start_from(model, Path(settings.weights))
    return model


def _validation(
    records: RecordSet, inputs: pipeline.DetectorInputs, log: Callable[[str], None]
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    return pipeline.evaluation_batches(chosen.folders[0], "validation", inputs)
