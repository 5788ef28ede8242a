"""Networks that tell classes apart: backbones, the classifier on top, and their features.

This module has the names of the backbones and takes further ones; it is free of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Optional

from melanoma_tf.core.errors import MelanomaError

if TYPE_CHECKING:
    from melanoma_tf.core.keras import keras

# The side of the input in pixels, and `imagenet` or None -> a network without its head.
Build = Callable[[int, Optional[str]], "keras.Model"]

EFFICIENTNET_LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
BUILT_IN = ("resnet50", "efficientnetv2-b0", "mobilenetv3-small", *EFFICIENTNET_LITE, "small")
_registered: dict[str, Build] = {}


def backbone_names() -> tuple[str, ...]:
    """The names of all backbones: those of `backbones.networks`, then registered ones."""
    return (*BUILT_IN, *_registered)


def register_backbone(name: str, build: Build) -> None:
    """Add a backbone, for this process.

    A run names its backbone only: register it before the run is trained, evaluated or exported.

    Args:
        name: for `NetworkSettings.backbone` and `--backbone`.
        build: takes the side of the square input in pixels, and `imagenet` or None; returns a
            model from RGB in [0, 255] to feature maps, with `name` as its name.

    Raises:
        MelanomaError: the name is taken.

    Example:
        >>> from melanoma_tf.backbones import backbone_names, register_backbone
        >>> register_backbone("tiny", lambda size_px, weights: None)
        >>> "tiny" in backbone_names()
        True
    """
    if name in backbone_names():
        raise MelanomaError(f"expected a new name for a backbone; {name} is one already")
    _registered[name] = build


def registered(name: str) -> Build | None:
    """The function of a registered backbone; None for other names."""
    return _registered.get(name)
