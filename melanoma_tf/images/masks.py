"""Lesion masks as graph ops, of stock TensorFlow only, so that exported models can carry them.

From a probability map to a finished mask: `fill_holes`, `largest_component`, and the way to the
network's square and back (`squeeze`, `restore`).
"""

from __future__ import annotations

import math
from typing import Callable

import tensorflow as tf


def squeeze(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """A whole image as a square, anti-aliased: what the network sees.

    Args:
        image: `(height, width, 3)` in [0, 255], of any size.
        size_px: side of the square.

    Returns:
        float32 `(size_px, size_px, 3)` in [0, 255].
    """
    squeezed = tf.image.resize(image, [size_px, size_px], method="bilinear", antialias=True)
    return tf.clip_by_value(squeezed, 0.0, 255.0)


def restore(probability: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The inverse of `squeeze` for a probability map.

    Args:
        probability: float32 `(size, size, 1)`.
        height: of the original image in pixels.
        width: of the original image in pixels.

    Returns:
        float32 `(height, width, 1)`, linear between the network's pixels.
    """
    return tf.image.resize(probability, tf.stack([height, width]), method="bilinear")


def finish(probability: tf.Tensor, threshold: float, *, largest_only: bool = False) -> tf.Tensor:
    """Fill the holes of the thresholded map, and optionally keep its largest piece only.

    The map itself is changed, to 1 in the holes and to 0 in the pieces dropped, so that it can
    be scaled and thresholded afterwards: linear interpolation between the pixels of a map without
    holes makes none.

    Args:
        probability: float32 `(batch, height, width, 1)`.
        threshold: a pixel is lesion where its probability exceeds it.
        largest_only: drop all pieces but the largest.

    Returns:
        float32 `(batch, height, width, 1)`.
    """
    found = probability > threshold
    filled = fill_holes(found)
    result = tf.where(filled & ~found, 1.0, probability)
    if largest_only:
        result = tf.where(filled & ~largest_component(filled), 0.0, result)
    return result


def fill_holes(masks: tf.Tensor) -> tf.Tensor:
    """Fill what the mask encloses: `scipy.ndimage.binary_fill_holes` with its default structure.

    A hole is background from which no path over edge-neighbours leads to the border.

    Args:
        masks: bool `(batch, height, width, 1)`.

    Returns:
        bool of the same shape.
    """
    background = ~masks[..., 0]
    shape = tf.shape(background)
    rows, columns = tf.range(shape[1])[:, tf.newaxis], tf.range(shape[2])
    border = (rows == 0) | (rows == shape[1] - 1) | (columns == 0) | (columns == shape[2] - 1)
    start = tf.cast(background & border, tf.int32)
    reached = _spread(start, background)
    return (reached == 0)[..., tf.newaxis]


def round_holes(masks: tf.Tensor, largest_radius_px: float, least_roundness: float) -> tf.Tensor:
    """The holes of masks that are nearly discs, such as the inside of a ring.

    Args:
        masks: bool `(batch, height, width, 1)`.
        largest_radius_px: larger holes are left out.
        least_roundness: least area of a hole, over that of the circle around its centroid that
            holds all of it: 1 for a disc, 0.64 for a square.

    Returns:
        bool of the same shape, True in such holes.
    """
    holes = (fill_holes(masks) & ~masks)[..., 0]
    labels, pixels = _labels(holes)
    flat, count = tf.reshape(labels, [-1]), pixels + 1
    shape = tf.shape(holes)
    rows, columns = tf.meshgrid(tf.range(shape[1]), tf.range(shape[2]), indexing="ij")
    places = tf.stack([tf.ones_like(rows), rows, columns], -1)
    places = tf.broadcast_to(tf.cast(places, tf.float32), [*tf.unstack(shape), 3])
    sums = tf.math.unsorted_segment_sum(tf.reshape(places, [-1, 3]), flat, count)
    area = tf.maximum(sums[:, :1], 1.0)
    centroids = tf.gather(sums[:, 1:] / area, labels)
    away = tf.sqrt(tf.reduce_sum(tf.square(places[..., 1:] - centroids), -1))
    farthest = tf.math.unsorted_segment_max(tf.reshape(away, [-1]), flat, count)
    radius = farthest + 0.5
    is_round = area[:, 0] >= least_roundness * math.pi * tf.square(radius)
    kept = tf.gather(is_round & (radius <= largest_radius_px), labels)
    return (holes & kept)[..., tf.newaxis]


def largest_component(masks: tf.Tensor) -> tf.Tensor:
    """The largest piece of each mask; edge-neighbours belong together, as in `ndimage.label`.

    Args:
        masks: bool `(batch, height, width, 1)`.

    Returns:
        bool of the same shape; an empty mask stays empty, and of equally large pieces the one
        that ends last in reading order stays.
    """
    inside = masks[..., 0]
    labels, pixels = _labels(inside)
    areas = tf.math.unsorted_segment_sum(
        tf.cast(tf.reshape(inside, [-1]), tf.int32), tf.reshape(labels, [-1]), pixels + 1
    )
    area = tf.gather(areas, labels)
    largest = tf.reduce_max(area, axis=[1, 2], keepdims=True)
    candidates = tf.where(inside & (area == largest), labels, 0)
    chosen = tf.reduce_max(candidates, axis=[1, 2], keepdims=True)
    return (inside & (labels == chosen))[..., tf.newaxis]


def _labels(region: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The number of the piece of each pixel, and the number of pixels.

    Label 0 is the background; a label is the largest number of a piece, unique over the batch.
    """
    pixels = tf.size(region)
    own = tf.where(region, tf.reshape(tf.range(1, pixels + 1), tf.shape(region)), 0)
    return _spread(own, region), pixels


def _spread(values: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """Spread the largest value over each piece of a region, edge-neighbours joined.

    Each round spreads along whole runs of rows and then of columns, so that the number of rounds
    depends on the windings of a piece, not on its length.

    Args:
        values: int32 `(batch, height, width)`, 0 outside the region.
        region: bool of the same shape.
    """
    along_rows = _along_runs(region)
    along_columns = _along_runs(tf.transpose(region, [0, 2, 1]))

    def round_of(values: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        spread = along_rows(values)
        spread = tf.transpose(along_columns(tf.transpose(spread, [0, 2, 1])), [0, 2, 1])
        return spread, tf.reduce_any(spread != values)

    start = (values, tf.constant(True))
    return tf.while_loop(lambda _, changed: changed, round_of, start)[0]


def _along_runs(region: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function that spreads the largest value along each run of a region's rows."""
    starts = tf.concat([tf.ones_like(region[..., :1]), region[..., 1:] != region[..., :-1]], -1)
    runs = tf.cumsum(tf.cast(tf.reshape(starts, [-1]), tf.int32)) - 1

    def spread(values: tf.Tensor) -> tf.Tensor:
        largest = tf.math.segment_max(tf.reshape(values, [-1]), runs)
        along = tf.reshape(tf.gather(largest, runs), tf.shape(values))
        return tf.where(region, along, 0)

    return spread


def draw_outline(
    images: tf.Tensor,
    masks: tf.Tensor,
    colour: tuple[int, int, int],
    *,
    width_px: int | tf.Tensor = 1,
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

    # A line is what is lost when the mask shrinks once for each pixel of its width.
    def shrink(step: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outside = tf.pad(1.0 - kept, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=1.0)
        return step + 1, 1.0 - tf.nn.max_pool2d(outside, 3, 1, "VALID")

    whole = tf.cast(masks, tf.float32)
    _, kept = tf.while_loop(lambda step, _kept: step < width_px, shrink, (tf.constant(0), whole))
    return tf.where(masks & (kept < 0.5), tf.constant(colour, tf.uint8), images)
