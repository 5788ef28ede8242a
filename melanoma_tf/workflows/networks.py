"""Settings of the networks of an experiment, from the experiment's settings. Free of TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from melanoma_tf.classification.settings import (
    RECIPES,
    BatchSettings,
    ClassifierSettings,
    OptimizationSettings,
)
from melanoma_tf.generation.settings import (
    COUPLED_GAN_RECIPES,
    GAN_RECIPES,
    CoupledGanSettings,
    GanSettings,
)
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.workflows.settings import (
    NO_RECIPE,
    ExperimentSettings,
    Isic2017Settings,
    Isic2018Settings,
)

_SHORT_ENCODER = "efficientnet-lite0"


def segmenter_settings(settings: Isic2017Settings) -> SegmenterSettings:
    """The network of Table 1, or a U-Net with a small encoder."""
    if settings.recipe != NO_RECIPE:
        return SegmenterSettings(
            image_size_px=settings.segmenter_size_px,
            epochs=settings.segmenter_epochs,
            seed=settings.seed,
        )
    return SegmenterSettings(
        image_size_px=settings.segmenter_size_px,
        encoder=_SHORT_ENCODER,
        weights=settings.weights,
        normalization="batch",
        epochs=settings.segmenter_epochs,
        learning_rate=1e-3,
        schedule="cosine",
        overlap="dice",
        augment="mild",
        seed=settings.seed,
    )


def gan_settings(settings: ExperimentSettings, class_name: str) -> GanSettings:
    """The settings of the DCGAN of a class."""
    base = GanSettings(schedule="cosine")
    if settings.recipe != NO_RECIPE:
        base = GAN_RECIPES[settings.recipe]
    return dataclasses.replace(base, class_names=(class_name,), **_gan_values(settings))


def coupled_gan_settings(
    settings: Isic2018Settings, class_names: tuple[str, ...]
) -> CoupledGanSettings:
    """The settings of the coupled DCGANs of some classes."""
    base = CoupledGanSettings(schedule="cosine")
    if settings.recipe != NO_RECIPE:
        base = COUPLED_GAN_RECIPES[settings.recipe]
    return dataclasses.replace(
        base,
        class_names=class_names,
        steps_per_epoch=settings.gan_steps,
        **_gan_values(settings),
    )


def classifier_settings(
    settings: ExperimentSettings,
    epochs: int,
    batches: BatchSettings | None = None,
    *,
    frozen_epochs: int = 0,
) -> ClassifierSettings:
    """The settings of a classifier.

    Args:
        settings: of the experiment.
        epochs: of the training.
        batches: how its images are drawn; None draws each once in an epoch.
        frozen_epochs: see `OptimizationSettings`.
    """
    base = ClassifierSettings(
        optimization=OptimizationSettings("adam", 3e-4, schedule="cosine"),
    )
    if settings.recipe != NO_RECIPE:
        base = RECIPES[settings.recipe]
    network = dataclasses.replace(
        base.network,
        backbone=settings.backbone,
        weights=settings.weights,
        image_size_px=settings.classifier_size_px,
    )
    return dataclasses.replace(
        base,
        network=network,
        optimization=dataclasses.replace(base.optimization, frozen_epochs=frozen_epochs),
        batches=batches or BatchSettings(),
        epochs=epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def _gan_values(settings: ExperimentSettings) -> dict[str, Any]:
    return {
        "image_size_px": settings.gan_size_px,
        "epochs": settings.gan_epochs,
        "batch_size": settings.gan_batch_size,
        "seed": settings.seed,
    }
