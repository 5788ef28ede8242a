"""Train the data purification network on record folders."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from melanoma_tf.backbones import EFFICIENTNET_LITE
from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.core.files import public_name
from melanoma_tf.core.keras import keras
from melanoma_tf.images.filling import fill
from melanoma_tf.purification.inpainter import data as pipeline
from melanoma_tf.purification.inpainter import perceptual
from melanoma_tf.purification.inpainter.inference import INPAINTER, network_of
from melanoma_tf.purification.inpainter.losses import HolePSNR, compile_inpainter
from melanoma_tf.purification.inpainter.previews import InpainterPreview
from melanoma_tf.purification.inpainter.settings import IMAGENET, InpainterSettings
from melanoma_tf.purification.inpainter.two_phases import AdamThenSGD, TwoRates
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.freezable import freeze
from melanoma_tf.training.initial_weights import input_files, start_from
from melanoma_tf.training.job import History, Log, RunOptions, TrainingJob
from melanoma_tf.training.previews import previews
from melanoma_tf.training.run_record import CONFIG, describe_run
from melanoma_tf.training.train import train
from melanoma_tf.training.validation import validation_records

if TYPE_CHECKING:
    from typing_extensions import Unpack


def train_inpainter(
    records: RecordsLike,
    run_dir: Path,
    settings: InpainterSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train an inpainter on the `train` split, and choose the best epoch on `validation`.

    Arguments, result and errors are those of `training.train.train`; another error is a feature
    network that cannot be read.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.purification.inpainter.settings import InpainterSettings
        >>> settings = InpainterSettings(
        ...     image_size_px=32, levels=2, features="none", classical_fraction=0.0, epochs=1,
        ...     frozen_epochs=0,
        ... )
        >>> run_dir = Path("runs/inpainter")
        >>> history = mt.train_inpainter(
        ...     "tfrecords/phantoms", run_dir, settings, log=lambda line: None
        ... )
        >>> len(history["val_hole_psnr"])
        1
    """
    chosen = InpainterSettings() if settings is None else settings
    return train(inpainter_job, records, run_dir, chosen, **options)


def inpainter_job(records: RecordSet, settings: InpainterSettings, log: Log) -> TrainingJob:
    """The training of an inpainter, see `training.job.TrainingJob`."""
    validation = _validation(records, settings, log)
    steps = math.ceil(records.count(split="train") / settings.batch_size)
    source = feature_source(settings)
    return TrainingJob(
        record=describe_run(INPAINTER, settings, records, details={"feature_network": source.name}),
        kind=INPAINTER,
        build=lambda: _build(settings),
        compile=lambda model: _compile(model, settings, source, steps),
        steps_per_epoch=steps,
        training_batches=lambda done, part: pipeline.training_batches(
            records, settings, first_example=done, part=part
        ),
        validation_batches=validation,
        monitor="val_hole_psnr",
        previews=lambda run_dir: [
            _SecondPhase(settings.epochs - settings.frozen_epochs),
            *previews(InpainterPreview, validation, run_dir),
        ],
        inputs=input_files(settings.weights, settings.features),
    )


@dataclass(frozen=True)
class FeatureSource:
    """The origin of a feature network.

    Attributes:
        name: for `config.json`.
        load: makes the network; None without features.
    """

    name: str
    load: Callable[[], keras.Model] | None


def feature_source(settings: InpainterSettings) -> FeatureSource:
    """The feature network of the settings, and what it is.

    Raises:
        MelanomaError: an unfinished run, or one of another kind.
    """
    features = settings.features
    if not settings.loss_weights.need_features:
        return FeatureSource("none: no perceptual and no style loss", None)
    if (Path(features) / CONFIG).is_file():
        network = load_classifier(Path(features))
        _, names = perceptual.backbone_layers(network)
        return FeatureSource(
            f"not VGG-16 but the classifier run {public_name(features)}: {', '.join(names)}",
            lambda: perceptual.backbone_layers(load_classifier(Path(features)))[0],
        )
    if features in EFFICIENTNET_LITE:
        return FeatureSource(
            f"not VGG-16 but {features} with ImageNet weights", lambda: perceptual.lite(features)
        )
    kind = "ImageNet weights" if features == IMAGENET else f"weights of {public_name(features)}"
    return FeatureSource(f"VGG-16 with {kind}", lambda: perceptual.vgg16(features))


class _SecondPhase(keras.callbacks.Callback):
    """Freezes the encoder's batch normalisation from an epoch on."""

    def __init__(self, begins: int):
        super().__init__()
        self._begins = begins

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Freeze or release."""
        freeze(self.model, epoch >= self._begins)


def _build(settings: InpainterSettings) -> keras.Model:
    model = network_of(settings)
    if settings.weights != "none":
        start_from(model, Path(settings.weights))
    return model


def _compile(
    model: keras.Model, settings: InpainterSettings, source: FeatureSource, steps_per_epoch: int
) -> keras.Model:
    first = (settings.epochs - settings.frozen_epochs) * steps_per_epoch
    rates = TwoRates(
        first,
        settings.learning_rate,
        settings.frozen_learning_rate,
        cosine=settings.schedule == "cosine",
    )
    optimizer = AdamThenSGD(first, rates, beta_1=0.5, beta_2=0.99, momentum=0.9)
    features = None if source.load is None else source.load()
    return compile_inpainter(model, optimizer, settings.loss_weights, features)


def _validation(
    records: RecordSet, settings: InpainterSettings, log: Log
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    batches = pipeline.evaluation_batches(chosen, "validation", settings)
    log(f"the classical filling: val_hole_psnr {filling_psnr(batches):.4g}")
    return batches


def filling_psnr(batches: tf.data.Dataset) -> float:
    """PSNR of the classical filling of the same holes, in dB, to compare a network with."""
    metric = HolePSNR()
    for (images, known), packed in batches:
        metric.update_state(packed, fill(images, 1.0 - known))
    return float(metric.result())
