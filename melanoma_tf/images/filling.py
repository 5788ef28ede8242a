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
