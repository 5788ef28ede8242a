"""From a probability map to a finished lesion mask, as graph ops; stock TensorFlow only."""

from __future__ import annotations

import tensorflow as tf


def draw_outline(
    images: tf.Tensor, masks: tf.Tensor, colour: tuple[int, int, int], *, width_px: int = 1
) -> tf.Tensor:
    """Draw the inner borders of masks on images.

    Args:
        images: uint8 `(batch, height, width, 3)`.
        masks: bool `(batch, height, width, 1)`, True inside.
        colour: RGB of the line.
        width_px: of the line.

    Returns:
        uint8 `(batch, height, width, 3)`.
    """
    outside = 1.0 - tf.cast(masks, tf.float32)
    padded = tf.pad(outside, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=1.0)
    near = tf.nn.max_pool2d(padded, 2 * width_px + 1, 1, "SAME")[:, 1:-1, 1:-1]
    line = masks & (near > 0.5)
    return tf.where(line, tf.constant(colour, tf.uint8), images)
