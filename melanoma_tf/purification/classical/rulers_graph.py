"""Find the ticks of rulers in the graph, see `rulers`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.images.geometry import pad_with_edge, window
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.classical.rulers import Rows, rows_of
from melanoma_tf.purification.classical.settings import RulerSettings


def find_ticks(saturated: tf.Tensor, thresholds: tf.Tensor, settings: RulerSettings) -> tf.Tensor:
    """Centres of the ticks that stand in rows.

    Args:
        saturated: saturated contrast of dark bars at half the working size, float32
            `(batch, height, width, 1)` in [0, 1].
        thresholds: least contrast of a tick, float32 `(batch, height, width)`.
        settings: see `RulerSettings`.

    Returns:
        float32 `(batch, height, width)`, 0 or 1.
    """
    rows = rows_of(settings)
    strengths = _strengths(saturated, rows)
    strongest = tf.reduce_max(strengths, axis=0)
    hits = (strengths > thresholds) & (strengths >= settings.fraction_of_strongest * strongest)
    places = tf.where(hits)
    near = _near(tf.cast(hits, tf.float32))
    ticks = _runs_at(_widened(near, rows), places, rows.ticks, rows.run_ticks, rows.reach)
    gaps = _runs_at(near, places, rows.gaps, rows.run_gaps, rows.reach)
    whole = (ticks > rows.run_ticks.sum(0) - 0.5) & (gaps < settings.most_between + 0.5)
    in_row = tf.boolean_mask(places[:, 1:], tf.reduce_any(whole, axis=(1, 2)))
    shape = tf.shape(thresholds, tf.int64)
    return tf.minimum(tf.scatter_nd(in_row, tf.ones_like(in_row[:, 0], tf.float32), shape), 1.0)


def _strengths(planes: tf.Tensor, rows: Rows) -> tf.Tensor:
    """By how much the weaker half of a short line stands out from the parallel lines.

    Returns:
        float32 `(directions, batch, height, width)`.
    """
    taken_rival, taken_half = (int(np.abs(each).max()) for each in (rows.rivals, rows.halves))
    radius = max(max(kernel.shape) // 2 for kernel in rows.kernels)
    filters = np.zeros((2 * radius + 1, 2 * radius + 1, 1, len(rows.kernels)), np.float32)
    for index, kernel in enumerate(rows.kernels):
        high, wide = (side // 2 for side in kernel.shape)
        filters[radius - high : radius + high + 1, radius - wide : radius + wide + 1, 0, index] = (
            kernel
        )
    framed = pad_with_edge(planes, taken_rival + taken_half + radius)
    means = tf.nn.conv2d(framed, tf.constant(filters), 1, "VALID")

    def strength(direction: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        mean, rival, half = direction
        one, other = _cut(mean, taken_rival, rival), _cut(mean, taken_rival, -rival)
        contrast = window(mean, taken_rival, (0, 0)) - 0.5 * (one + other)
        return tf.minimum(_cut(contrast, taken_half, half), _cut(contrast, taken_half, -half))

    # Loops, though their length is known: unrolled, the graph would take seconds longer to build.
    planes_of_directions = (tf.transpose(means, [3, 0, 1, 2]), rows.rivals, rows.halves)
    return tf.map_fn(strength, planes_of_directions, fn_output_signature=tf.float32)


def _cut(planes: tf.Tensor, taken: int, move: tf.Tensor) -> tf.Tensor:
    """Remove a margin from `(batch, height, width)`, moved by rows and columns."""
    begin = tf.concat([[0], taken + move], axis=0)
    return tf.slice(planes, begin, tf.shape(planes) - [0, 2 * taken, 2 * taken])


def _near(hits: tf.Tensor) -> tf.Tensor:
    """Hits and the pixels next to them, `(directions, batch, height, width)`."""
    shape = tf.shape(hits)
    flat = tf.reshape(hits, tf.concat([[-1], shape[2:], [1]], 0))
    return tf.reshape(dilate(flat, 3), shape)


def _widened(near: tf.Tensor, rows: Rows) -> tf.Tensor:
    """Hits, widened as far as a tick of a row may be off its place."""
    margin = int(np.abs(rows.slips).max())
    framed = tf.pad(near, [[0, 0], [0, 0], [margin] * 2, [margin] * 2])

    def widened(direction: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        plane, slip = direction
        moved = tf.maximum(_cut(plane, margin, slip), _cut(plane, margin, -slip))
        return tf.maximum(window(plane, margin, (0, 0)), moved)

    return tf.map_fn(widened, (framed, rows.slips), fn_output_signature=tf.float32)


def _runs_at(
    planes: tf.Tensor,
    places: tf.Tensor,
    offsets: npt.NDArray[np.int32],
    runs: npt.NDArray[np.float32],
    margin: int,
) -> tf.Tensor:
    """Sums over runs of the values around places, 0 outside the planes.

    Args:
        planes: float32 `(directions, batch, height, width)`, 0 or 1.
        places: int64 `(places, 4)`.
        offsets: `(directions, spacings, offsets, 2)`.
        runs: `(offsets, runs)`, 0 or 1.
        margin: largest offset.

    Returns:
        float32 `(places, spacings, runs)`.
    """
    framed = tf.pad(tf.cast(planes, tf.uint8), [[0, 0], [0, 0], [margin] * 2, [margin] * 2])
    shape = tf.shape(framed, tf.int64)
    direction, image, row, column = tf.unstack(places, axis=-1)
    plane = direction * shape[1] + image
    own = (plane * shape[2] + row + margin) * shape[3] + column + margin
    moves = tf.constant(offsets[..., 0], tf.int64) * shape[3] + offsets[..., 1].astype(np.int64)
    around = own[:, None, None] + tf.gather(moves, direction)
    values = tf.cast(tf.gather(tf.reshape(framed, [-1]), around), tf.float32)
    return tf.tensordot(values, tf.constant(runs), axes=1)
