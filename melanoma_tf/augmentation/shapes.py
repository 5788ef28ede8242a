"""Coordinates, ticks and painting, as `overlays` and the synthetic occlusions share them."""

from __future__ import annotations

import tensorflow as tf


def centred_coordinates(size_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Row and column of every pixel in [-1, 1], each float32 `(size, size, 1)`."""
    line = tf.linspace(-1.0, 1.0, size_px)
    rows, columns = tf.meshgrid(line, line, indexing="ij")
    return rows[..., tf.newaxis], columns[..., tf.newaxis]


def turned(rows: tf.Tensor, columns: tf.Tensor, angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Coordinates along and across lines.

    Args:
        rows: float32 `(size, size, 1 or lines)`.
        columns: likewise.
        angle: of each line in radians, `(lines,)` or a scalar.

    Returns:
        Two tensors, float32 `(size, size, lines)`.
    """
    angle = tf.reshape(angle, [1, 1, -1])
    along = columns * tf.cos(angle) + rows * tf.sin(angle)
    return along, rows * tf.cos(angle) - columns * tf.sin(angle)


def nearest_tick(along: tf.Tensor, spacing: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The tick of a scale that is nearest to each pixel.

    Args:
        along: coordinate along the scale.
        spacing: distance of neighbouring ticks, in the same unit.

    Returns:
        The distance from the tick, and whether it is a long one, as every fifth is.
    """
    number = tf.round(along / spacing)
    is_long = tf.equal(tf.math.floormod(number, 5.0), 0.0)
    return tf.abs(along - number * spacing), is_long


def paint_over(image: tf.Tensor, opacity: tf.Tensor, colour: tf.Tensor) -> tf.Tensor:
    """Paint a colour over an image.

    Args:
        image: float32 `(size, size, 3)`.
        opacity: 0 leaves the image, 1 leaves the colour; float32 `(size, size, 1)`.
        colour: float32 `(3,)`.
    """
    return image + opacity * (colour - image)


def around(size_px: int, places: tf.Tensor, spread: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows and columns of every pixel from some places.

    Args:
        size_px: side of the image.
        places: float32 `(2, n)` in [0, 1], within a square of `spread` times the image's side,
            around the same middle.
        spread: see `places`.

    Returns:
        Two tensors in pixels, float32 `(size_px, size_px, n)`.
    """
    line = tf.range(size_px, dtype=tf.float32)
    middle = (0.5 + spread * (places - 0.5)) * size_px
    rows = tf.broadcast_to(line[:, tf.newaxis, tf.newaxis], [size_px, size_px, 1]) - middle[0]
    return rows, line[tf.newaxis, :, tf.newaxis] - middle[1] + tf.zeros_like(rows)


def covered(beyond_edge: tf.Tensor, within: tf.Tensor) -> tf.Tensor:
    """Antialiased coverage by any of `n` shapes.

    Args:
        beyond_edge: distance from their edges in pixels, below 0 inside, `(size, size, n)`.
        within: where a shape may be, bool, broadcast against `beyond_edge`.

    Returns:
        float32 `(size, size, 1)` in [0, 1].
    """
    coverage = tf.clip_by_value(0.5 - beyond_edge, 0.0, 1.0) * tf.cast(within, tf.float32)
    return tf.reduce_max(coverage, -1, keepdims=True)
