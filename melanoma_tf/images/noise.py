"""Random fields: what varies smoothly from place to place."""

from __future__ import annotations

import tensorflow as tf


def smooth_noise(size_px: int, cells: int, seed: tf.Tensor) -> tf.Tensor:
    """Normal draws on a coarse grid, with smooth transitions between them.

    Args:
        size_px: side of the square.
        cells: grid points along a side; few make wide patches, many fine grain.
        seed: int `(2,)`; the same seed draws the same.

    Returns:
        float32 `(size_px, size_px, 1)` of mean 0 and a deviation of about 0.7.
    """
    grid = tf.random.stateless_normal([cells, cells, 1], seed)
    return tf.image.resize(grid, [size_px, size_px], method="bicubic")
