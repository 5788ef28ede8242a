"""Inputs of a classifier, made from its settings."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs, augmentation_of
from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.purification.networks import GraphPurifier


def classifier_inputs(
    settings: ClassifierSettings, *, batch_size: int | None = None
) -> ClassifierInputs:
    """Return the inputs of a classifier, with the network that purifies them where one does.

    Args:
        settings: resolved.
        batch_size: images in a batch; None takes that of the settings.

    Raises:
        MelanomaError: as `GraphPurifier`.

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
        >>> network = NetworkSettings("small", "none", image_size_px=32)
        >>> mt.classifier_inputs(ClassifierSettings(network=network)).short_side_px
        37
    """
    if batch_size is not None:
        settings = dataclasses.replace(settings, batch_size=batch_size)
    purifier = None
    if settings.purify != "none" and settings.purify_method != "classical":
        # In main memory: the input pipeline runs on the CPU, also where a GPU trains.
        with tf.device("CPU:0"):
            purifier = GraphPurifier(settings.purify_method, settings.purify_network)
    return ClassifierInputs(settings, augmentation_of(settings.augmentation), purifier)


def purified_by(settings: ClassifierSettings, method: str) -> ClassifierSettings:
    """Return settings of a run with another purification outside training.

    The network is the one that the run was trained with, if any, else the one that ships.

    Args:
        settings: of the run.
        method: one of `classification.evaluation_settings.PURIFICATIONS`.
    """
    if method == "none":
        return dataclasses.replace(settings, purify="none")
    return dataclasses.replace(settings, purify="test", purify_method=method)
