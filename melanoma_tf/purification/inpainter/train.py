"""Train the data purification network on record folders."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.backbones.classifier import KIND as CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images.filling import fill
from melanoma_tf.purification.inpainter import data as pipeline
from melanoma_tf.purification.inpainter import perceptual
from melanoma_tf.purification.inpainter.losses import HolePSNR, LossWeights, compile_inpainter
from melanoma_tf.purification.inpainter.network import build_inpainter
from melanoma_tf.purification.inpainter.previews import InpainterPreview
from melanoma_tf.purification.inpainter.two_phases import AdamThenSGD, TwoRates
from melanoma_tf.purification.networks import KIND
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.freezable import freeze
from melanoma_tf.training.initial_weights import start_from
from melanoma_tf.training.run_config import further_folders, run_config
from melanoma_tf.training.schedules import SCHEDULES
from melanoma_tf.training.validation import validation_records

NO_FEATURES = "none"


@dataclass(frozen=True)
class InpainterSettings:
    """Everything that decides an inpainter's training; the defaults are the papers'.

    Attributes:
        image_size_px, classical_fraction, detected_fraction, augment: see
            `purification.inpainter.data.InpainterInputs`.
        base_filters, levels, normalization, start, full_size: see
            `purification.inpainter.network.build_inpainter`.
        weights: `none`, or the `model.keras` of another run of the same network to start from.
        features: what the perceptual and the style loss compare by: `imagenet` (VGG-16), the
            `.h5` file of such a network, a finished classifier run, or `none` to leave them out.
        valid_weight, hole_weight, perceptual_weight, style_weight, variation_weight: see
            `purification.inpainter.losses.LossWeights`.
        epochs: passes over the training split, in all.
        frozen_epochs: how many of them, the last, belong to the second phase: gradient descent
            with the encoder's batch normalisation frozen.
        learning_rate: of Adam, in the first phase.
        schedule: `constant`, or `cosine`: the first phase's rate rises shortly and then falls.
        frozen_learning_rate: of the second phase.
        batch_size: global, over all replicas.
        average_momentum: see `training.FitSettings`.
        strategy, replicas, mixed_precision: see `training`.
        seed: of weights, order, masks and augmentation.
    """

    image_size_px: int = 256
    base_filters: int = 64
    levels: int = 7
    normalization: str = "batch"
    start: str = "nothing"
    full_size: bool = False
    weights: str = "none"
    features: str = perceptual.IMAGENET
    classical_fraction: float = 0.25
    detected_fraction: float = 0.5
    augment: bool = True
    valid_weight: float = 1.0
    hole_weight: float = 6.0
    perceptual_weight: float = 0.05
    style_weight: float = 120.0
    variation_weight: float = 0.1
    epochs: int = 100
    frozen_epochs: int = 20
    learning_rate: float = 2e-4
    schedule: str = "constant"
    frozen_learning_rate: float = 1e-4
    batch_size: int = 8
    average_momentum: float = 0.0
    strategy: str = "single"
    replicas: int = 0
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.frozen_epochs <= self.epochs:
            raise MelanomaError(
                f"expected 0 to {self.epochs} frozen epochs, of all; found {self.frozen_epochs}"
            )
        if self.schedule not in SCHEDULES:
            raise MelanomaError(
                f"expected a schedule out of {', '.join(SCHEDULES)}; found {self.schedule}"
            )

    @property
    def loss_weights(self) -> LossWeights:
        """Of the loss; without features those of their terms are 0."""
        if self.features == NO_FEATURES:
            return LossWeights(self.valid_weight, self.hole_weight, 0, 0, self.variation_weight)
        return LossWeights(
            self.valid_weight,
            self.hole_weight,
            self.perceptual_weight,
            self.style_weight,
            self.variation_weight,
        )


def train_inpainter(
    records: RecordsLike,
    run_dir: Path,
    settings: InpainterSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train an inpainter on the `train` split, and choose the best epoch on `validation`.

    Args:
        records: a record folder, or several; the first that has a validation split is the one
            that epochs are chosen by.
        run_dir: the run folder to make, or to go on with.
        settings: see `InpainterSettings`.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that is there.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records, impossible settings, no feature network, an existing
            run folder, a loss that is not finite.
    """
    strategy = training.make_strategy(settings.strategy, settings.replicas)
    records = RecordSet.read(records)
    records.check_mixture()
    inputs = inpainter_inputs(settings)
    validation = _validation(records, inputs, log)
    steps = math.ceil(records.count(split="train") / settings.batch_size)
    source = feature_source(settings)
    config = _config(records, settings, source)
    run = training.Run(run_dir, config, resume, overwrite, records.folders)
    return training.fit(
        lambda: _build(settings),
        lambda model: _compile(model, settings, source, steps),
        training=lambda done: pipeline.training_batches(
            records.folders, inputs, first_example=done
        ),
        validation=validation,
        strategy=strategy,
        settings=_schedule(settings, steps),
        run=run,
        examples_per_step=settings.batch_size,
        callbacks=[
            _SecondPhase(settings.epochs - settings.frozen_epochs),
            *([] if validation is None else [InpainterPreview(validation, run.working / "logs")]),
        ],
        log=log,
    )


def inpainter_inputs(settings: InpainterSettings) -> pipeline.InpainterInputs:
    """The settings of the input pipeline."""
    return pipeline.InpainterInputs(
        image_size_px=settings.image_size_px,
        batch_size=settings.batch_size,
        classical_fraction=settings.classical_fraction,
        detected_fraction=settings.detected_fraction,
        augment=settings.augment,
        seed=settings.seed,
    )


@dataclass(frozen=True)
class FeatureSource:
    """Where a feature network comes from.

    Attributes:
        name: for `config.json`.
        load: makes it; None where there is none.
    """

    name: str
    load: Callable[[], keras.Model] | None


def feature_source(settings: InpainterSettings) -> FeatureSource:
    """The feature network that the settings ask for, named as what it is.

    Raises:
        MelanomaError: an unfinished run, or one of another kind.
    """
    asked = settings.features
    if not settings.loss_weights.need_features:
        return FeatureSource("none: no perceptual and no style loss", None)
    if (Path(asked) / training.CONFIG).is_file():
        training.read_config(Path(asked), CLASSIFIER)
        network = training.load_model(Path(asked))
        _, names = perceptual.backbone_layers(network)
        return FeatureSource(
            f"not VGG-16 but the classifier run {asked}: {', '.join(names)}",
            lambda: perceptual.backbone_layers(training.load_model(Path(asked)))[0],
        )
    kind = "ImageNet weights" if asked == perceptual.IMAGENET else f"weights of {asked}"
    return FeatureSource(f"VGG-16 with {kind}", lambda: perceptual.vgg16(asked))


class _SecondPhase(keras.callbacks.Callback):
    """Freezes the encoder's batch normalisation from an epoch on."""

    def __init__(self, begins: int):
        super().__init__()
        self._begins = begins

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Freeze or release."""
        freeze(self.model, epoch >= self._begins)


def _build(settings: InpainterSettings) -> keras.Model:
    model = build_inpainter(
        settings.base_filters,
        settings.levels,
        normalization=settings.normalization,
        start=settings.start,
        full_size=settings.full_size,
    )
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


def _schedule(settings: InpainterSettings, steps_per_epoch: int) -> training.FitSettings:
    return training.FitSettings(
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        mixed_precision=settings.mixed_precision,
        monitor="val_hole_psnr",
        seed=settings.seed,
        average_momentum=settings.average_momentum,
    )


def _validation(
    records: RecordSet, inputs: pipeline.InpainterInputs, log: Callable[[str], None]
) -> tf.data.Dataset | None:
    chosen = validation_records(records, log)
    if chosen is None:
        return None
    batches = pipeline.evaluation_batches(chosen.folders[0], "validation", inputs)
    log(f"the classical filling: val_hole_psnr {filling_psnr(batches):.4g}")
    return batches


def filling_psnr(batches: tf.data.Dataset) -> float:
    """What the classical filling of the same holes scores, in dB, to compare a network with."""
    metric = HolePSNR()
    for (images, known), packed in batches:
        metric.update_state(packed, fill(images, 1.0 - known))
    return float(metric.result())


def _config(
    records: RecordSet, settings: InpainterSettings, source: FeatureSource
) -> dict[str, Any]:
    return {
        **run_config(KIND, records.folders[0], records.manifests[0], settings),
        **further_folders(records),
        "feature_network": source.name,
    }
