"""Squares of images of the purification's working size, to draw occlusions on.

All are graph ops on float32 RGB `(height, width, 3)` in [0, 1].
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images import appearance as looks
from melanoma_tf.images.geometry import fit_long_side, resize
from melanoma_tf.images.occlusion_graph import find_occlusions
from melanoma_tf.images.occlusion_settings import WORKING_SIZE_PX, OcclusionSettings
from melanoma_tf.records import schema

# How far from what the detector found on an image itself the truth is doubted.
DOUBTED_PX = 7
_COLOURS = looks.Appearance(
    colour=0.8, illumination=0.2, blur=0.2, dark_corners=0, hairs=0, ruler=0, ink=0, sticker=0
)


def decoded(serialized: tf.Tensor, size_px: int) -> tf.Tensor:
    """An image of working size, float32 `(height, width, 3)` in [0, 1], no side below `size_px`."""
    encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.cast(tf.ensure_shape(image, [None, None, 3]), tf.float32)[tf.newaxis] / 255.0
    return resize(image, *fit_long_side(image, WORKING_SIZE_PX, size_px))[0]


def cut(image: tf.Tensor, size_px: int, seed: tf.Tensor, *, augment: bool) -> tf.Tensor:
    """A random square of an image; mirrored, turned and coloured by chance, if augmented."""
    square = tf.image.stateless_random_crop(image, [size_px, size_px, 3], seed + [0, 1])
    if not augment:
        return square
    flips = tf.random.stateless_uniform([3], seed + [0, 2]) < 0.5
    square = tf.where(flips[0], square[::-1], square)
    square = tf.where(flips[1], square[:, ::-1], square)
    square = tf.where(flips[2], tf.transpose(square, [1, 0, 2]), square)
    square = tf.ensure_shape(square, [size_px, size_px, 3])
    return looks.vary(square, tf.ones_like(square[..., :1]), _COLOURS, seed + [0, 16])[0]


def middle(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """The square in the middle of an image."""
    corner = (tf.shape(image)[:2] - size_px) // 2
    return tf.slice(image, tf.concat([corner, [0]], 0), [size_px, size_px, 3])


@tf.function  # Its graph takes seconds to build, and stands in several places of the pipeline.
def own_occlusions(square: tf.Tensor) -> tf.Tensor:
    """What the classical detector finds on a square, float32 `(size, size, 1)`, 0 or 1."""
    return find_occlusions(square[tf.newaxis], None, OcclusionSettings())[0]
