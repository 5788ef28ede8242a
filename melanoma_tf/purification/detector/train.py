"""Train an occlusion detector on record folders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector import data as pipeline
from melanoma_tf.purification.detector.inference import DETECTOR, network_of
from melanoma_tf.purification.detector.losses import compile_detector
from melanoma_tf.purification.detector.previews import DetectorPreview
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.initial_weights import input_files, start_from
from melanoma_tf.training.job import History, Log, RunOptions, TrainingJob
from melanoma_tf.training.previews import previews
from melanoma_tf.training.run_record import describe_run
from melanoma_tf.training.schedules import rate_by_name
from melanoma_tf.training.train import train
from melanoma_tf.training.validation import validation_records

if TYPE_CHECKING:
    from typing_extensions import Unpack


def train_occlusion_detector(
    records: RecordsLike,
    run_dir: Path,
    settings: DetectorSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train a detector on the `train` split, and choose the best epoch on `validation`.

    Arguments, result and errors are those of `training.train.train`.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.purification.detector.settings import DetectorSettings
        >>> settings = DetectorSettings(image_size_px=32, base_filters=2, levels=1, epochs=1)
        >>> run_dir = Path("runs/detector")
        >>> history = mt.train_occlusion_detector(
        ...     "tfrecords/phantoms", run_dir, settings, log=lambda line: None
        ... )
        >>> len(history["val_dice"])
        1
    """
    chosen = DetectorSettings() if settings is None else settings
    return train(detector_job, records, run_dir, chosen, **options)


def detector_job(records: RecordSet, settings: DetectorSettings, log: Log) -> TrainingJob:
    """The training of an occlusion detector, see `training.job.TrainingJob`."""
    steps = math.ceil(records.count(split="train") / settings.batch_size)
    rate = rate_by_name(settings.schedule, settings.learning_rate, steps * settings.epochs)
    validation = _validation(records, settings, log)
    return TrainingJob(
        record=describe_run(DETECTOR, settings, records),
        kind=DETECTOR,
        build=lambda: _build(settings),
        compile=lambda model: compile_detector(model, rate),
        steps_per_epoch=steps,
        training_batches=lambda done, part: pipeline.training_batches(
            records, settings, first_example=done, part=part
        ),
        validation_batches=validation,
        monitor="val_dice",
        previews=lambda run_dir: previews(DetectorPreview, validation, run_dir),
        inputs=input_files(settings.weights),
    )


def _build(settings: DetectorSettings) -> keras.Model:
    model = network_of(settings)
    if settings.weights != "none":
        start_from(model, Path(settings.weights))
    return model


def _validation(records: RecordSet, settings: DetectorSettings, log: Log) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    return pipeline.evaluation_batches(chosen, "validation", settings)
