"""Grey morphology on image batches, in the graph.

Flat rectangles are taken apart into a row and a column, which costs a tenth of the whole. Pixels
beyond the border count for nothing, as in OpenCV.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def dilate(images: tf.Tensor, size_px: int) -> tf.Tensor:
    """Greatest value in a square around each pixel.

    Args:
        images: float32 `(batch, height, width, channels)`.
        size_px: side of the square, odd.

    Returns:
        Same shape and dtype.
    """
    return _greatest(_greatest(tf.convert_to_tensor(images), size_px, 1), size_px, 2)


def _greatest(images: tf.Tensor, size_px: int, axis: int) -> tf.Tensor:
    """Greatest value of `size_px` neighbours along an axis, from windows of doubling length.

    On one or two channels this takes a fraction of the time of a pooling operation.
    """
    padding = [[size_px // 2] * 2 if place == axis else [0, 0] for place in range(4)]
    images = tf.pad(images, padding, constant_values=images.dtype.min)
    length = 1
    while length < size_px:
        step = min(length, size_px - length)
        if axis == 1:
            images = tf.maximum(images[:, :-step], images[:, step:])
        else:
            images = tf.maximum(images[:, :, :-step], images[:, :, step:])
        length += step
    return images


def erode(images: tf.Tensor, size_px: int) -> tf.Tensor:
    """Least value in a square around each pixel; see `dilate`."""
    return -dilate(-tf.convert_to_tensor(images), size_px)


def close(images: tf.Tensor, size_px: int) -> tf.Tensor:
    """Fill what is darker than its surroundings and narrower than a square; see `dilate`."""
    return erode(dilate(images, size_px), size_px)


def ball(radius_px: int, height: float) -> npt.NDArray[np.float32]:
    """A ball as a structuring element that is not flat: half an ellipsoid over a disc.

    Args:
        radius_px: of the disc.
        height: of the ellipsoid at the centre, in units of the image's values.

    Returns:
        float32 `(2 * radius_px + 1,) * 2`; -1e4, for minus infinity, outside the disc.
    """
    rows, columns = np.mgrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    height_squared = 1.0 - (rows**2 + columns**2) / radius_px**2
    bump = height * np.sqrt(np.maximum(height_squared, 0.0))
    return np.where(height_squared < 0, -1e4, bump).astype(np.float32)


def close_with(images: tf.Tensor, element: npt.NDArray[np.float32]) -> tf.Tensor:
    """Grey closing with a structuring element that is not flat.

    Args:
        images: float32 `(batch, height, width, 1)`.
        element: heights to add, odd sides, symmetric.

    Returns:
        Same shape and dtype.
    """
    heights = tf.constant(element[..., None], tf.float32)
    options = {"strides": (1,) * 4, "padding": "SAME", "data_format": "NHWC", "dilations": (1,) * 4}
    return tf.nn.erosion2d(tf.nn.dilation2d(images, heights, **options), heights, **options)
