"""Moving an image and its lesion mask together: flips, rotation, scale, shift, elastic warp.

Graph ops for training; every draw is a pure function of a seed. The only module that uses
TensorFlow Addons. How an image looks is varied by `images.appearance`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import tensorflow as tf

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Addons announces its end of life at every import.
    from tensorflow_addons.image import dense_image_warp

_ELASTIC_GRID = 5


@dataclass(frozen=True)
class Movement:
    """How far an image may be moved; all draws are uniform.

    Attributes:
        flips: mirror left-right and top-bottom, each with probability one half.
        rotation_degrees: up to this angle, either way.
        smallest_scale, largest_scale: of what the picture shows; below 1 the skin around is
            continued by reflection.
        shift: up to this share of the side, along each axis.
        elastic: standard deviation of a smooth random displacement, as a share of the side.
    """

    flips: bool = True
    rotation_degrees: float = 180.0
    smallest_scale: float = 0.5
    largest_scale: float = 1.3
    shift: float = 0.1
    elastic: float = 0.02


def move(
    image: tf.Tensor, mask: tf.Tensor, size_px: int, movement: Movement, seed: tf.Tensor
) -> tf.Tensor:
    """Cut a randomly placed, turned and scaled square out of an image, and warp it.

    The whole image, squeezed to a square, fills the result at scale 1. Where the result reaches
    beyond the image, it is continued by reflection, and what is reflected is no lesion: the
    challenge's masks have one lesion. A lesion that touches the border would end there without
    a visible reason, so images of such lesions are never made smaller.

    Args:
        image: float32 `(height, width, 3)`.
        mask: float32 `(height, width, 1)`, 0 skin, 1 lesion.
        size_px: side of the result.
        movement: how far.
        seed: int `(2,)`; the same seed moves the same way.

    Returns:
        float32 `(size_px, size_px, 4)`: the moved image, and the mask, which stays 0 or 1.
    """
    transform = _drawn_transform(tf.shape(image)[:2], mask, size_px, movement, seed)

    def sampled(pixels: tf.Tensor, interpolation: str, fill: str) -> tf.Tensor:
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=pixels[tf.newaxis],
            transforms=transform[tf.newaxis],
            output_shape=[size_px, size_px],
            interpolation=interpolation,
            fill_mode=fill,
            fill_value=0.0,
        )

    pixels = sampled(image, "BILINEAR", "REFLECT")
    lesion = sampled(mask, "NEAREST", "CONSTANT")
    moved = tf.ensure_shape(tf.concat([pixels, lesion], -1), [1, size_px, size_px, 4])
    if movement.elastic:
        moved = _elastic(moved, movement.elastic * size_px, seed + [0, 1])
    return moved[0]


def _drawn_transform(
    shape: tf.Tensor, mask: tf.Tensor, size_px: int, movement: Movement, seed: tf.Tensor
) -> tf.Tensor:
    """From the result's pixels to the image's: 8 numbers, as the projective transform takes."""
    drawn = tf.random.stateless_uniform([6], seed, -1.0, 1.0)
    angle = drawn[0] * (movement.rotation_degrees * math.pi / 180.0)
    smallest = tf.where(_touches_border(mask), 1.0, movement.smallest_scale)
    # Uniform in the logarithm: halving is as likely as doubling.
    low, high = tf.math.log(smallest), tf.math.log(tf.maximum(smallest, movement.largest_scale))
    zoom = tf.exp(low + (high - low) * (drawn[1] + 1.0) / 2.0)
    sides = tf.cast(shape, tf.float32)
    per_row, per_column = sides[0] / (size_px * zoom), sides[1] / (size_px * zoom)
    mirrored = tf.where(drawn[4:] < 0.0, -1.0, 1.0) if movement.flips else tf.ones([2])
    cosine, sine = tf.cos(angle), tf.sin(angle)
    a0, a1 = per_column * mirrored[0] * cosine, -per_column * mirrored[0] * sine
    b0, b1 = per_row * mirrored[1] * sine, per_row * mirrored[1] * cosine
    middle = (size_px - 1) / 2.0
    shift = drawn[2:4] * movement.shift * sides
    a2 = (sides[1] - 1.0) / 2.0 + shift[1] - (a0 + a1) * middle
    b2 = (sides[0] - 1.0) / 2.0 + shift[0] - (b0 + b1) * middle
    zero = tf.zeros([])
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero])


def _touches_border(mask: tf.Tensor) -> tf.Tensor:
    edges = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    return tf.reduce_any([tf.reduce_any(edge > 0.5) for edge in edges])


def _elastic(moved: tf.Tensor, deviation_px: float, seed: tf.Tensor) -> tf.Tensor:
    size_px = moved.shape[1]
    coarse = tf.random.stateless_normal([1, _ELASTIC_GRID, _ELASTIC_GRID, 2], seed)
    flow = tf.image.resize(coarse * deviation_px, [size_px, size_px], method="bicubic")
    warped = dense_image_warp(moved, flow)
    return tf.concat([warped[..., :3], tf.round(warped[..., 3:])], -1)
