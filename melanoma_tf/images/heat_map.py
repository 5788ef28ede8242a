"""Saliency made visible: as colours, and laid over the image it belongs to."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# Dark to bright in even steps, and in colours that skin and lesions do not have.
_COLOURS = "viridis"
_OPACITY = 0.75
_LEVELS = 256


def heat_map(saliency: tf.Tensor) -> tf.Tensor:
    """Saliency as colours.

    Args:
        saliency: float `(..., height, width)` in [0, 1].

    Returns:
        uint8 RGB `(..., height, width, 3)`.
    """
    levels = tf.clip_by_value(tf.cast(saliency, tf.float32), 0.0, 1.0) * (_LEVELS - 1)
    return tf.gather(tf.constant(_palette()), tf.cast(tf.round(levels), tf.int32))


def overlay(images: tf.Tensor, saliency: tf.Tensor) -> tf.Tensor:
    """Lay saliency over images: the more salient a pixel, the less of the image shows through.

    Args:
        images: uint8 RGB `(..., height, width, 3)`.
        saliency: float `(..., height, width)` in [0, 1].

    Returns:
        uint8 RGB of the images' shape; where the saliency is 0, the image itself.
    """
    shown = tf.cast(images, tf.float32)
    opacity = _OPACITY * tf.clip_by_value(tf.cast(saliency, tf.float32), 0.0, 1.0)[..., tf.newaxis]
    mixed = shown + opacity * (tf.cast(heat_map(saliency), tf.float32) - shown)
    return tf.cast(tf.round(mixed), tf.uint8)


@functools.cache
def _palette() -> np.ndarray:
    """uint8 `(256, 3)`."""
    from matplotlib import colormaps

    colours = colormaps[_COLOURS](np.linspace(0.0, 1.0, _LEVELS))[:, :3]
    return np.round(colours * 255.0).astype(np.uint8)
