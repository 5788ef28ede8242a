"""Train a classifier on record folders, and calibrate it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from melanoma_tf.backbones.classifier import KIND, build_classifier, network_of
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.batches import check_batches, examples_by_class
from melanoma_tf.classification.calibrate import calibrate_trained
from melanoma_tf.classification.cross_validation import fold_details, training_view
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.optimization import compile_classifier
from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.initial_weights import input_files
from melanoma_tf.training.job import History, Log, RunOptions, TrainingJob
from melanoma_tf.training.run_record import RunKind, describe_run
from melanoma_tf.training.train import train
from melanoma_tf.training.validation import validation_records

if TYPE_CHECKING:
    from typing_extensions import Unpack

CLASSIFIER = RunKind(
    KIND,
    ClassifierSettings,
    lambda record: network_of(record.settings.network, len(record.class_names)),
)
_LARGEST_DEFAULT_SIZE_PX = 224


def train_classifier(
    records: RecordsLike,
    run_dir: Path,
    settings: ClassifierSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train on the `train` split, choose the best epoch on `validation`, and calibrate on it.

    Arguments, result and errors are those of `training.train.train`. With a fold held out, that is
    the validation split. Further errors are fewer than two classes or too few images to train on,
    and weights that cannot be had.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
        >>> network = NetworkSettings("small", "none", image_size_px=32)
        >>> settings = ClassifierSettings(epochs=1, batch_size=8, network=network)
        >>> run_dir = Path("runs/classifier")
        >>> history = mt.train_classifier(
        ...     "tfrecords/phantoms", run_dir, settings, log=lambda line: None
        ... )
        >>> len(history["val_auc"]), (run_dir / "weights.npz").is_file()
        (1, True)
    """
    chosen = ClassifierSettings() if settings is None else settings
    return train(classifier_job, records, run_dir, chosen, **options)


def classifier_job(records: RecordSet, settings: ClassifierSettings, log: Log) -> TrainingJob:
    """The training of a classifier, see `training.job.TrainingJob`."""
    records = training_view(records, settings.cross_validation, log)
    check_batches(records, settings.batches)
    counts = _counts_by_class(records, settings, log)
    resolved = _with_image_size(settings, records)
    inputs = classifier_inputs(resolved)
    steps = math.ceil(sum(counts) / resolved.batch_size)
    return TrainingJob(
        record=describe_run(CLASSIFIER, resolved, records, details=fold_details(records)),
        kind=CLASSIFIER,
        build=lambda: _build(resolved, len(records.class_names)),
        compile=lambda model: compile_classifier(
            model,
            resolved.optimization,
            counts=counts,
            steps_per_epoch=steps,
            epochs=resolved.epochs,
        ),
        steps_per_epoch=steps,
        training_batches=lambda done, part: pipeline.training_batches(
            records, inputs, first_example=done, part=part
        ),
        validation_batches=_validation(records, inputs, log),
        monitor="val_auc",
        finish=lambda run_dir: calibrate_trained(run_dir, records, inputs, log),
        inputs=input_files(resolved.network.weights, resolved.purify_network),
    )


def _build(settings: ClassifierSettings, num_classes: int) -> keras.Model:
    network = settings.network
    return build_classifier(
        backbone=network.backbone,
        num_classes=num_classes,
        image_size_px=network.image_size_px,
        weights=network.weights,
    )


def _with_image_size(settings: ClassifierSettings, records: RecordSet) -> ClassifierSettings:
    """Take the size that was given, else the crop that needs no enlargement of the images."""
    if settings.network.image_size_px:
        return settings
    stored = records.manifests[0].settings.get("image_size", _LARGEST_DEFAULT_SIZE_PX)
    if not isinstance(stored, int) or isinstance(stored, bool) or stored < 1:
        raise MelanomaError(
            f"{records.folders[0]}: expected a size in pixels as image_size; found {stored!r:.80}"
        )
    size_px = min(_LARGEST_DEFAULT_SIZE_PX, stored * 7 // 8)
    network = dataclasses.replace(settings.network, image_size_px=size_px)
    return dataclasses.replace(settings, network=network)


def _counts_by_class(records: RecordSet, settings: ClassifierSettings, log: Log) -> list[int]:
    """Training examples of an epoch by class; fewer than two classes with any are an error."""
    names = records.class_names
    counts = examples_by_class(records, settings.batches)
    absent = ", ".join(name for name, count in zip(names, counts) if not count)
    if sum(count > 0 for count in counts) < 2:
        raise MelanomaError(
            f"{records}: expected training examples of at least two classes; found none of {absent}"
        )
    if absent:
        log(f"warning: no training example of {absent}; it cannot be learned")
    return counts


def _validation(
    records: RecordSet, inputs: pipeline.ClassifierInputs, log: Log
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    batches = pipeline.evaluation_batches(chosen, "validation", inputs)
    return batches.map(lambda batch: (batch["image"], batch["label"]))
