"""Filling holes of an image smoothly from what is around them, in the graph."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.geometry import double, halve, height_width

# Below this, no pixel is known: a single one in 512 x 512 is 4 ** -9 of the whole.
_LEAST_WEIGHT = 1e-8


def fill(images: tf.Tensor, holes: tf.Tensor, levels: int = 8) -> tf.Tensor:
    """Pull averages of the known pixels up a pyramid, then push them down into the holes.

    After Gortler et al. 1996, "The Lumigraph", Section 3.4.

    Args:
        images: float32 `(batch, height, width, channels)`.
        holes: float32 `(batch, height, width, 1)`, 1 where the image is unknown, else 0.
        levels: number of halvings; holes of up to about 2 ** levels pixels are filled.

    Returns:
        float32 like `images`, equal to it outside the holes; 0 where nothing at all was known.
    """
    known = 1.0 - holes
    level = halve(tf.concat([images * known, known], axis=-1))
    pyramid = [level]
    for _ in range(levels - 1):
        pyramid.append(halve(pyramid[-1]))
    filled = pyramid[-1][..., :-1] / tf.maximum(pyramid[-1][..., -1:], _LEAST_WEIGHT)
    for level in reversed(pyramid[:-1]):
        weight = level[..., -1:]
        # However little of a block is known, its average beats what the coarser level says of it.
        own = level[..., :-1] / tf.maximum(weight, _LEAST_WEIGHT)
        filled = tf.where(weight > _LEAST_WEIGHT, own, double(filled, *height_width(level)))
    return tf.where(holes > 0.5, double(filled, *height_width(images)), images)


def fill_weighted(
    images: tf.Tensor, weights: tf.Tensor, levels: int = 8, prior: float = 0.02
) -> tf.Tensor:
    """Fill as `fill` does, from pixels that are trusted more or less; differentiable in both.

    Args:
        images: float32 `(batch, height, width, channels)`.
        weights: float32 `(batch, height, width, 1)` or of as many channels, how far each pixel is
            trusted: 0 in holes, above 0 elsewhere.
        levels: number of halvings.
        prior: weight of a coarser level's value against a block's own, in pixels.

    Returns:
        float32 like `images`: what the surroundings say of every pixel, known or not.
    """
    channels = images.shape[-1]
    weights = tf.broadcast_to(weights, tf.shape(images))
    level = halve(tf.concat([images * weights, weights], axis=-1))
    pyramid = [level]
    for _ in range(levels - 1):
        pyramid.append(halve(pyramid[-1]))
    last = pyramid[-1]
    filled = last[..., :channels] / tf.maximum(last[..., channels:], _LEAST_WEIGHT)
    for level in reversed(pyramid[:-1]):
        own, weight = level[..., :channels], level[..., channels:]
        coarse = double(filled, *height_width(level))
        filled = (own + prior * coarse) / (weight + prior)
    return double(filled, *height_width(images))
