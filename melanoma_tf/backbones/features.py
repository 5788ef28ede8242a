"""Features of images, by a network that was trained to tell classes apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.backbones import backbone_names
from melanoma_tf.backbones.classifier import build_classifier, load_classifier
from melanoma_tf.core.keras import keras

IMAGENET = "imagenet"
_SHIPS = "efficientnet-lite0"
_IMAGENET_SIZE_PX = 224
_AT_ONCE = 64

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Extractor:
    """A network that gives features of images.

    Attributes:
        name: for a report.
        features: from uint8 `(images, height, width, 3)` to float64 `(images, features)`.
    """

    name: str
    features: Callable[[Images], npt.NDArray[np.float64]]


def load_extractor(source: str) -> Extractor:
    """Load a network whose features are the input of the last layer of a classifier.

    Args:
        source: `imagenet` for EfficientNet-Lite0 with its ImageNet weights, which ship; the name of
            another backbone, as `resnet50`, for that one with ImageNet weights; else a finished
            classifier run.

    Raises:
        MelanomaError: no such run, or the weights cannot be had.
    """
    if source == IMAGENET or source in backbone_names():
        name, size = (_SHIPS if source == IMAGENET else source), _IMAGENET_SIZE_PX
        model = build_classifier(backbone=name, num_classes=2, image_size_px=size, weights=IMAGENET)
        return Extractor(f"{name} with ImageNet weights", _embedding(model, size))
    model = load_classifier(Path(source))
    return Extractor(f"classifier run {source}", _embedding(model, model.input_shape[1]))


def _embedding(model: keras.Model, size_px: int) -> Callable[[Images], npt.NDArray[np.float64]]:
    embed = keras.Model(model.input, model.layers[-1].input)

    def features(images: Images) -> npt.NDArray[np.float64]:
        parts = []
        for at in range(0, len(images), _AT_ONCE):
            part = images[at : at + _AT_ONCE]
            resized = tf.image.resize(part, [size_px, size_px], antialias=True)
            parts.append(embed(resized, training=False).numpy())
        return np.concatenate(parts).astype(np.float64)

    return features
