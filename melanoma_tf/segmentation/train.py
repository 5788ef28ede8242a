"""Train a segmenter on a record folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.augmentation.settings import SEGMENTER_PRESETS, preset
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_json
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.segmentation import data as pipeline
from melanoma_tf.segmentation.losses import compile_segmenter
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.previews import SegmenterPreview
from melanoma_tf.training.initial_weights import start_from
from melanoma_tf.training.run_config import run_config
from melanoma_tf.training.schedules import rate_by_name
from melanoma_tf.training.validation import validation_records

KIND = "segmenter"
THRESHOLD_FILE = "threshold.json"
_THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(11))


@dataclass(frozen=True)
class SegmenterSettings:
    """Everything that decides a segmenter's training.

    Attributes:
        image_size_px, base_filters, padding, normalization, dropout, colour_constancy,
            skin_white_balance, chroma: see `segmentation.network.build_segmenter`.
        weights: `none`, or the `model.keras` of another run of the same network to start from.
        epochs: passes over the training split.
        batch_size: global, over all replicas.
        learning_rate: of Adam; the highest, where a schedule changes it.
        schedule: `constant` as in the paper, or `cosine`, see `training.schedules.rate_by_name`.
        overlap, label_smoothing: see `segmentation.losses.SegmentationLoss`.
        augment: a name of `augmentation.settings.SEGMENTER_PRESETS`.
        average_momentum: see `training.TrainingSettings`.
        threshold: a pixel is lesion where its probability exceeds it; 0 takes the one with the
            highest mean Jaccard index on the validation split.
        strategy, replicas, mixed_precision: see `training`.
        seed: of weights, order and augmentation.
    """

    image_size_px: int = 380
    base_filters: int = 64
    padding: str = "valid"
    normalization: str = "none"
    dropout: float = 0.0
    colour_constancy: bool = False
    skin_white_balance: bool = False
    chroma: bool = False
    weights: str = "none"
    epochs: int = 100
    batch_size: int = 8
    learning_rate: float = 1e-4
    schedule: str = "constant"
    overlap: str = "none"
    label_smoothing: float = 0.0
    augment: str = "full"
    average_momentum: float = 0.0
    threshold: float = 0.4
    strategy: str = "single"
    replicas: int = 0
    mixed_precision: bool = False
    seed: int = 0


def train_segmenter(
    records: Path,
    run_dir: Path,
    settings: SegmenterSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train a segmenter on the `train` split, and choose the best epoch on `validation`.

    Args:
        records: a record folder with masks.
        run_dir: the run folder to make, or to go on with.
        settings: see `SegmenterSettings`.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that is there.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records, no masks, masks of another size than their images,
            impossible settings, an existing run folder, a loss that is not finite.
    """
    strategy = training.make_strategy(settings.strategy, settings.replicas)
    manifest = read_manifest(records)
    count = _count_masks(records, manifest, log)
    inputs = segmenter_inputs(settings)
    validation = _validation(records, manifest, inputs, log)
    steps = math.ceil(count / settings.batch_size)
    config = run_config(KIND, records, manifest, settings)
    run = training.Run(run_dir, config, resume, overwrite, (records,))
    return training.fit(
        lambda: _build(settings),
        lambda model: _compile(model, settings, steps * settings.epochs),
        training=lambda done: pipeline.training_batches(records, inputs, count, first_example=done),
        validation=validation,
        strategy=strategy,
        settings=_schedule(settings, steps),
        run=run,
        examples_per_step=settings.batch_size,
        callbacks=[]
        if validation is None
        else [SegmenterPreview(validation, run.working / "logs")],
        finish=lambda folder: _write_threshold(folder, settings, validation, log),
        log=log,
    )


def _count_masks(records: Path, manifest: Manifest, log: Callable[[str], None]) -> int:
    count = pipeline.count_masks(records, "train")
    without = manifest.count(split="train") - count
    if without:
        log(f"warning: {without} training examples have no mask and are left out")
    return count


def _schedule(settings: SegmenterSettings, steps_per_epoch: int) -> training.TrainingSettings:
    return training.TrainingSettings(
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        mixed_precision=settings.mixed_precision,
        monitor="val_jaccard",
        seed=settings.seed,
        average_momentum=settings.average_momentum,
    )


def _compile(model: keras.Model, settings: SegmenterSettings, steps: int) -> keras.Model:
    return compile_segmenter(
        model,
        learning_rate=rate_by_name(settings.schedule, settings.learning_rate, steps),
        overlap=settings.overlap,
        label_smoothing=settings.label_smoothing,
        threshold=settings.threshold or 0.5,
    )


def segmenter_inputs(settings: SegmenterSettings) -> pipeline.SegmenterInputs:
    """The settings of the input pipeline.

    Raises:
        MelanomaError: unknown augmentation.
    """
    augmentation = preset(SEGMENTER_PRESETS, settings.augment)
    return pipeline.SegmenterInputs(
        image_size_px=settings.image_size_px,
        batch_size=settings.batch_size,
        geometric=augmentation.geometric,
        photometric=augmentation.photometric,
        seed=settings.seed,
    )


def _build(settings: SegmenterSettings) -> keras.Model:
    model = build_segmenter(
        settings.image_size_px,
        settings.base_filters,
        padding=settings.padding,
        normalization=settings.normalization,
        dropout=settings.dropout,
        colour_constancy=settings.colour_constancy,
        skin_white_balance=settings.skin_white_balance,
        chroma=settings.chroma,
    )
    if settings.weights != "none":
        start_from(model, Path(settings.weights))
    return model


def _validation(
    records: Path,
    manifest: Manifest,
    inputs: pipeline.SegmenterInputs,
    log: Callable[[str], None],
) -> tf.data.Dataset | None:
    if validation_records(RecordSet((records,), (manifest,)), log) is None:
        return None
    pipeline.count_masks(records, "validation")
    return pipeline.evaluation_batches(records, "validation", inputs)


def _write_threshold(
    run_dir: Path,
    settings: SegmenterSettings,
    validation: tf.data.Dataset | None,
    log: Callable[[str], None],
) -> None:
    threshold = settings.threshold
    if not threshold and validation is None:
        raise MelanomaError("expected a validation split to choose the threshold on; found none")
    if not threshold:
        threshold = best_threshold(training.load_model(run_dir), validation)
        log(f"threshold {threshold} is the best on the validation split")
    write_json(run_dir / THRESHOLD_FILE, {"threshold": threshold})


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
