"""Train a segmenter on a record folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melanoma_tf.augmentation.settings import SEGMENTER_PRESETS
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.segmentation import data as pipeline
from melanoma_tf.segmentation.lite_network import build_lite_segmenter, load_encoder
from melanoma_tf.segmentation.losses import compile_segmenter
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.previews import SegmenterPreview
from melanoma_tf.segmentation.settings import IMAGENET, NO_ENCODER, SegmenterSettings
from melanoma_tf.training.initial_weights import input_files, is_converted, start_from
from melanoma_tf.training.job import History, Log, RunOptions, TrainingJob
from melanoma_tf.training.previews import previews
from melanoma_tf.training.run import load_model
from melanoma_tf.training.run_record import RunKind, describe_run
from melanoma_tf.training.schedules import rate_by_name
from melanoma_tf.training.train import train
from melanoma_tf.training.validation import validation_records

if TYPE_CHECKING:
    from typing_extensions import Unpack

THRESHOLD_FILE = "threshold.json"
_THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(11))


def network_of(settings: SegmenterSettings) -> keras.Model:
    """Build the network of some settings, with random weights."""
    if settings.encoder != NO_ENCODER:
        return build_lite_segmenter(
            settings.encoder,
            settings.image_size_px,
            normalization=settings.normalization,
            dropout=settings.dropout,
        )
    return build_segmenter(
        settings.image_size_px,
        settings.base_filters,
        padding=settings.padding,
        normalization=settings.normalization,
        dropout=settings.dropout,
        colour_constancy=settings.colour_constancy,
        skin_white_balance=settings.skin_white_balance,
        chroma=settings.chroma,
    )


SEGMENTER = RunKind("segmenter", SegmenterSettings, lambda record: network_of(record.settings))


def train_segmenter(
    records: RecordsLike,
    run_dir: Path,
    settings: SegmenterSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train a segmenter on the examples with masks, and choose the best epoch on `validation`.

    Arguments, result and errors are those of `training.train.train`; further errors are records
    without masks, and masks of another size than their images.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.segmentation.settings import SegmenterSettings
        >>> settings = SegmenterSettings(
        ...     image_size_px=64, base_filters=2, padding="same", epochs=1, augment="none"
        ... )
        >>> run_dir = Path("runs/outlines")
        >>> history = mt.train_segmenter(
        ...     "tfrecords/phantoms", run_dir, settings, log=lambda line: None
        ... )
        >>> len(history["val_jaccard"])
        1
    """
    chosen = SegmenterSettings() if settings is None else settings
    return train(segmenter_job, records, run_dir, chosen, **options)


def segmenter_job(records: RecordSet, settings: SegmenterSettings, log: Log) -> TrainingJob:
    """The training of a segmenter, see `training.job.TrainingJob`."""
    inputs = segmenter_inputs(settings)
    count = _count_masks(records, log)
    steps = math.ceil(count / settings.batch_size)
    validation = _validation(records, inputs, log)
    return TrainingJob(
        record=describe_run(SEGMENTER, settings, records),
        kind=SEGMENTER,
        build=lambda: _build(settings),
        compile=lambda model: _compile(model, settings, steps * settings.epochs),
        steps_per_epoch=steps,
        training_batches=lambda done, part: pipeline.training_batches(
            records, inputs, count, first_example=done, part=part
        ),
        validation_batches=validation,
        monitor="val_jaccard",
        previews=lambda run_dir: previews(SegmenterPreview, validation, run_dir),
        finish=lambda run_dir: _write_threshold(run_dir, settings, validation, log),
        inputs=input_files(settings.weights),
    )


def _count_masks(records: RecordSet, log: Log) -> int:
    count = pipeline.count_masks(records, "train")
    without = records.count(split="train") - count
    if without:
        log(f"warning: {without} training examples have no mask and are left out")
    return count


def _compile(model: keras.Model, settings: SegmenterSettings, steps: int) -> keras.Model:
    return compile_segmenter(
        model,
        learning_rate=rate_by_name(settings.schedule, settings.learning_rate, steps),
        overlap=settings.overlap,
        label_smoothing=settings.label_smoothing,
        threshold=settings.threshold or 0.5,
    )


def segmenter_inputs(settings: SegmenterSettings) -> pipeline.SegmenterInputs:
    """The settings of the input pipeline."""
    augmentation = SEGMENTER_PRESETS[settings.augment]
    return pipeline.SegmenterInputs(
        image_size_px=settings.image_size_px,
        batch_size=settings.batch_size,
        geometric=augmentation.geometric,
        photometric=augmentation.photometric,
        seed=settings.seed,
    )


def _build(settings: SegmenterSettings) -> keras.Model:
    model = network_of(settings)
    weights = Path(settings.weights)
    if settings.weights == "none":
        return model
    if settings.encoder != NO_ENCODER and settings.weights == IMAGENET:
        load_encoder(model, settings.encoder)
    elif settings.encoder != NO_ENCODER and is_converted(weights):
        load_encoder(model, settings.encoder, weights)
    else:
        start_from(model, weights)
    return model


def _validation(
    records: RecordSet, inputs: pipeline.SegmenterInputs, log: Log
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    pipeline.count_masks(chosen, "validation")
    return pipeline.evaluation_batches(chosen, "validation", inputs)


def _write_threshold(
    run_dir: Path,
    settings: SegmenterSettings,
    validation: tf.data.Dataset | None,
    log: Log,
) -> None:
    threshold = settings.threshold
    if not threshold and validation is None:
        raise MelanomaError("expected a validation split to choose the threshold on; found none")
    if not threshold:
        threshold = best_threshold(load_model(run_dir, SEGMENTER), validation)
        log(f"threshold {threshold} is the best on the validation split")
    write_checked_json(run_dir / THRESHOLD_FILE, {"threshold": threshold})


def best_threshold(model: keras.Model, batches: tf.data.Dataset) -> float:
    """The threshold out of 0.2, 0.25, ... 0.7 with the highest mean Jaccard index.

    Args:
        model: from images to probabilities.
        batches: pairs of images and masks.
    """
    overlaps = []
    for images, masks in batches:
        truth = masks.numpy()[..., 0] > 0.5
        probability = model(images, training=False).numpy()[..., 0]
        found = [probability > threshold for threshold in _THRESHOLDS]
        shared = np.stack([(truth & each).sum(axis=(1, 2)) for each in found])
        either = np.stack([(truth | each).sum(axis=(1, 2)) for each in found])
        overlaps.append(np.where(either > 0, shared / np.maximum(either, 1), 1.0))
    return _THRESHOLDS[int(np.argmax(np.concatenate(overlaps, axis=1).mean(axis=1)))]
