"""Find bubbles in the graph, see `bubbles`."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.classical.bubbles import Rims, rims_of
from melanoma_tf.purification.classical.settings import BubbleSettings


def find_discs(
    saturated: list[tf.Tensor], thresholds: tf.Tensor, bright: tf.Tensor, settings: BubbleSettings
) -> tf.Tensor:
    """The discs of bubbles, with their rims.

    Args:
        saturated: saturated contrast of dark bars at half the working size, float32
            `(batch, height, width)` in [0, 1], one for each direction across a bar.
        thresholds: least contrast of a rim, float32 of the same shape.
        bright: whether the image is brighter than bare skin, bool of the same shape.
        settings: see `BubbleSettings`.

    Returns:
        float32 of the same shape, 0 or 1.
    """
    rims = rims_of(settings)
    hits = tf.stack([tf.cast(each > thresholds, tf.float32) for each in saturated], -1)
    hits = tf.cast(dilate(hits, 3), tf.uint8)
    framed = tf.unstack(_framed(hits, rims.radii[0]), axis=-1)
    sums = _sums(bright, rims.highlights[0])

    def step(index: tf.Tensor, discs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = _whole(framed, rims, index) * _with_highlight(sums, rims, index)
        return index + 1, _grown(tf.maximum(discs, centres), tf.constant(rims.growth)[index])

    # A loop, though its length is known: unrolled, the graph would take seconds longer to build.
    count = len(rims.radii)
    _, discs = tf.while_loop(
        lambda index, _: index < count,
        step,
        (0, tf.zeros(tf.shape(bright), tf.uint8)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None] * 3)),
    )
    for grows_at_corners in rims.growth[count:]:
        discs = _grown(discs, tf.constant(grows_at_corners))
    return tf.cast(discs, tf.float32)


def _framed(planes: tf.Tensor, margin: int) -> tf.Tensor:
    """Zeros beyond the border of `(batch, height, width, ...)`."""
    others = [[0, 0]] * (planes.shape.rank - 3)
    return tf.pad(planes, [[0, 0], [margin] * 2, [margin] * 2, *others])


def _whole(framed: list[tf.Tensor], rims: Rims, index: tf.Tensor) -> tf.Tensor:
    """Centres of whole circles of one radius: uint8 `(batch, height, width)`, 0 or 1."""
    margin = rims.radii[0]
    moves = margin + tf.constant(rims.points)[index]
    size = tf.shape(framed[0]) - tf.constant([0, 2 * margin, 2 * margin])
    whole = tf.ones(size, tf.uint8)
    for point, direction in enumerate(rims.directions):
        begin = tf.concat([[0], moves[point]], 0)
        whole = tf.minimum(whole, tf.slice(framed[direction], begin, size))
    return whole


def _sums(bright: tf.Tensor, margin: int) -> tf.Tensor:
    """Sums over all pixels above and to the left, with a margin and a first row and column of 0."""
    framed = _framed(tf.cast(bright, tf.int32), margin)
    sums = tf.cumsum(tf.cumsum(framed, axis=1), axis=2)
    return tf.pad(sums, [[0, 0], [1, 0], [1, 0]])


def _with_highlight(sums: tf.Tensor, rims: Rims, index: tf.Tensor) -> tf.Tensor:
    """Whether a square around each pixel holds a bright one: uint8, 0 or 1."""
    margin, half_side = rims.highlights[0], tf.constant(rims.highlights)[index]
    size = tf.shape(sums) - tf.constant([0, 2 * margin + 1, 2 * margin + 1])
    first, last = margin - half_side, margin + half_side + 1

    def corner(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.slice(sums, tf.stack([0, row, column]), size)

    total = corner(last, last) - corner(first, last) - corner(last, first) + corner(first, first)
    return tf.cast(total > 0, tf.uint8)


def _grown(discs: tf.Tensor, at_corners: tf.Tensor) -> tf.Tensor:
    """Discs and the pixels next to them; of those that touch a corner only where it is said."""
    rows = _with_neighbours(discs, 1)
    square, columns = _with_neighbours(rows, 2), _with_neighbours(discs, 2)
    return tf.where(at_corners, square, tf.maximum(rows, columns))


def _with_neighbours(discs: tf.Tensor, axis: int) -> tf.Tensor:
    framed = tf.pad(discs, [[1, 1] if place == axis else [0, 0] for place in range(3)])
    if axis == 1:
        return tf.maximum(tf.maximum(framed[:, :-2], framed[:, 2:]), discs)
    return tf.maximum(tf.maximum(framed[:, :, :-2], framed[:, :, 2:]), discs)
