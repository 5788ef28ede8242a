"""Pictures that explain an answer: lesion and saliency over the photograph, and it purified."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.geometry import fit_long_side
from melanoma_tf.images.heat_map import overlay
from melanoma_tf.images.masks import draw_outline

# Pictures are for screens; larger ones would be sent for nothing.
LONG_SIDE_PX = 1024
_OUTLINE = (255, 255, 0)
_OUTLINE_FRACTION = 1 / 300  # of the longer side


def as_picture(image: tf.Tensor) -> tf.Tensor:
    """Downscale an image, uint8 `(height, width, 3)`, to a long side of at most 1024 pixels."""
    height, width = fit_long_side(image[tf.newaxis], LONG_SIDE_PX)

    def smaller() -> tf.Tensor:
        scaled = tf.image.resize(image, (height, width), method="bilinear", antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)

    is_large = tf.reduce_max(tf.shape(image)[:2]) > LONG_SIDE_PX
    return tf.ensure_shape(tf.cond(is_large, smaller, lambda: image), [None, None, 3])


def with_outline(picture: tf.Tensor, lesion: tf.Tensor) -> tf.Tensor:
    """Draw the border of a mask, bool `(height, width, 1)`, on a picture of its size."""
    longer = tf.cast(tf.reduce_max(tf.shape(picture)[:2]), tf.float32)
    width = tf.cast(tf.math.ceil(longer * _OUTLINE_FRACTION), tf.int32)
    return draw_outline(picture[tf.newaxis], lesion[tf.newaxis], _OUTLINE, width_px=width)[0]


def with_saliency(picture: tf.Tensor, saliency: tf.Tensor, seen: float) -> tf.Tensor:
    """Lay saliency over the square in the middle of a picture.

    Args:
        picture: uint8 `(height, width, 3)`.
        saliency: float32 `(size, size)` in [0, 1].
        seen: side of that square as a fraction of the short side.
    """
    shape = tf.shape(picture)[:2]
    short_side = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.maximum(tf.cast(tf.round(short_side * seen), tf.int32), 1)
    square = tf.image.resize(saliency[..., tf.newaxis], tf.stack([side, side]))[..., 0]
    before = (shape - side) // 2
    whole = tf.pad(square, tf.stack([before, shape - side - before], 1))
    return overlay(picture, whole)
