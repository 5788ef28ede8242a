"""Sizes and borders of image batches, in the graph; every size may be unknown until it runs."""

from __future__ import annotations

import tensorflow as tf


def height_width(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of `(batch, height, width, channels)`, int32 scalars."""
    shape = tf.shape(images)
    return shape[1], shape[2]


def fit_long_side(
    images: tf.Tensor, long_side_px: int | tf.Tensor, least_side_px: int = 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """The size at which the long side has a given length and the proportions are kept.

    Args:
        images: `(batch, height, width, channels)`.
        long_side_px: length of the long side; a tensor is an int32 scalar.
        least_side_px: the short side has at least this length, at the cost of the proportions.

    Returns:
        Height and width, int32 scalars.
    """
    height, width = height_width(images)
    scale = tf.cast(long_side_px, tf.float64) / tf.cast(tf.maximum(height, width), tf.float64)

    def side(length: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(tf.floor(tf.cast(length, tf.float64) * scale + 0.5), tf.int32)
        return tf.maximum(scaled, least_side_px)

    return side(height), side(width)


def resize(images: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Resize up or down without aliasing, with operations that GPUs have too.

    The image is halved by averaging while it is at least twice as large on both sides, then
    interpolated bilinearly.

    Args:
        images: float32 `(batch, height, width, channels)`.
        height: new height in pixels.
        width: new width in pixels.

    Returns:
        float32 of the new size.
    """
    rows, columns = height_width(images)
    same = tf.logical_and(tf.equal(rows, height), tf.equal(columns, width))
    return tf.cond(same, lambda: images, lambda: _resized(images, height, width))


def _resized(images: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    def is_large(current: tf.Tensor) -> tf.Tensor:
        rows, columns = height_width(current)
        return tf.logical_and(rows >= 2 * height, columns >= 2 * width)

    (halved,) = tf.while_loop(
        is_large,
        lambda current: (halve(current),),
        (images,),
        shape_invariants=(tf.TensorShape([images.shape[0], None, None, images.shape[-1]]),),
    )
    return tf.image.resize(halved, (height, width), method="bilinear")


def halve(images: tf.Tensor) -> tf.Tensor:
    """Average blocks of 2x2 pixels; an odd side counts its last pixels twice.

    Args:
        images: float32 `(batch, height, width, channels)`.

    Returns:
        float32 `(batch, ceil(height / 2), ceil(width / 2), channels)`.
    """
    # SAME averages over the pixels that there are, which is as good as repeating the last ones.
    return tf.nn.avg_pool2d(images, 2, 2, "SAME")


def double(images: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Double by bilinear interpolation, then cut to a size: the counterpart of `halve`."""
    rows, columns = height_width(images)
    doubled = tf.image.resize(images, (2 * rows, 2 * columns), method="bilinear")
    return doubled[:, :height, :width]


def repeat_twice(images: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Double by repeating each pixel, then cut to a size.

    Args:
        images: `(batch, rows, columns)`.
        height: at most twice the rows.
        width: at most twice the columns.
    """
    shape = tf.shape(images)
    blocks = tf.tile(images[:, :, None, :, None], [1, 1, 2, 1, 2])
    return tf.reshape(blocks, [shape[0], 2 * shape[1], 2 * shape[2]])[:, :height, :width]


def pad_with_edge(images: tf.Tensor, margin_px: int) -> tf.Tensor:
    """Repeat the outermost pixels beyond the border.

    Args:
        images: `(batch, height, width, ...)`.
        margin_px: on each of the four sides.
    """
    for axis in (1, 2):
        length = tf.shape(images)[axis]
        places = tf.clip_by_value(tf.range(-margin_px, length + margin_px), 0, length - 1)
        images = tf.gather(images, places, axis=axis)
    return images


def window(padded: tf.Tensor, margin_px: int, offset_px: tuple[int, int]) -> tf.Tensor:
    """Cut the image, moved by an offset, out of its padded form.

    Args:
        padded: `(batch, height + 2 * margin, width + 2 * margin, ...)`.
        margin_px: the margin.
        offset_px: rows and columns, each within the margin.
    """
    # Counted from the end, the stop needs no size: the graph gets one node instead of ten.
    rows, columns = (
        slice(margin_px + offset, (offset - margin_px) or None) for offset in offset_px
    )
    return padded[:, rows, columns]
