"""Scales drawn at random: rows of ticks at equal distances, their line and their numbers.

Drawn as dermoscopes show them: fine and pale as well as black, bent by the lens, worn off in
places, with a longer tick and a number at every fifth. See `augmentation.synthetic_occlusions`.
"""

from __future__ import annotations

import math

import tensorflow as tf

from melanoma_tf.augmentation.shapes import around, covered, nearest_tick, turned
from melanoma_tf.core.random_streams import Stream

_GRAIN_PX = 9
_NUMBERED = 5.0  # Every fifth tick has a number.


def ticks(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """The ticks of a scale, with or without its line and its numbers.

    Args:
        size_px: side of the image.
        seed: int64 `(2,)`.

    Returns:
        Coverage, float32 `(size_px, size_px, 1)` in [0, 1].
    """
    drawn = Stream("occlusions.scale").uniform(seed, [19])
    along, across = _axes(size_px, drawn)
    spacing = tf.where(drawn[4] < 0.4, 4.0 + 20.0 * drawn[5] * drawn[5], 12.0 + 38.0 * drawn[5])
    from_tick, is_long = nearest_tick(along, spacing)
    length = tf.minimum(6.0 + 18.0 * drawn[6], 4.0 + 0.9 * spacing)
    longer = length * tf.where(is_long, 1.2 + 0.9 * drawn[7], 1.0)
    # Long ticks reach further to one side or to both.
    shift = 0.5 * drawn[8] * (longer - length)
    half_width = 0.35 + 1.1 * drawn[9] * drawn[9]
    within = (across > -shift) & (across < longer - shift)
    tick = covered(from_tick - half_width, within)
    line = covered(tf.abs(across) - half_width, tf.fill(tf.shape(across), drawn[10] < 0.3))
    figures = _figures(along, across, spacing, length, drawn[11:14])
    # A plate ends somewhere, and the eye of the lens cuts it off.
    reach = size_px * (0.15 + 1.2 * drawn[14])
    scale = tf.maximum(tf.maximum(tick, line), figures) * tf.cast(tf.abs(along) < reach, tf.float32)
    return scale * _worn(size_px, drawn[15:17], seed)


def _axes(size_px: int, drawn: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Coordinates along and across a scale that lies mostly along the frame, slightly bent."""
    rows, columns = around(size_px, drawn[:2, tf.newaxis], 1.0)
    quarter, part = tf.floor(4.0 * drawn[3]), 4.0 * drawn[3] - tf.floor(4.0 * drawn[3])
    slanted = tf.where(drawn[2] < 0.6, 0.5 * (part - 0.5), 0.0)
    tilt = tf.where(drawn[2] < 0.2, 2.0 * math.pi * drawn[3], 0.5 * math.pi * quarter + slanted)
    along, across = turned(rows, columns, tilt[tf.newaxis])
    bow = tf.where(drawn[17] < 0.3, 1.6 * (drawn[18] - 0.5) / size_px, 0.0)
    return along, across - bow * tf.square(along)


def _figures(
    along: tf.Tensor, across: tf.Tensor, spacing: tf.Tensor, length: tf.Tensor, drawn: tf.Tensor
) -> tf.Tensor:
    """Digits near every fifth tick: an oval, bars and strokes, chosen by its number."""
    number = tf.round(along / (_NUMBERED * spacing))
    size = 2.2 + 2.6 * drawn[1]
    side = tf.where(drawn[2] < 0.5, length * 1.9 + size + 2.0, -2.0 * size - 3.0)
    x = (along - number * _NUMBERED * spacing) / (0.62 * size)
    y = (across - side) / size
    # Which strokes a digit has: pseudo-random by its number, other digits on other scales.
    code = tf.math.floormod(number * 0.377 + 3.1 * drawn[1], 1.0)
    pen = 0.45
    oval = tf.abs(tf.sqrt(x * x + y * y + 1e-6) - 0.9) * 0.8 * size
    box = (tf.abs(x) < 1.0) & (tf.abs(y) < 1.0)
    bar = tf.minimum(tf.abs(tf.abs(y) - 0.9), tf.abs(y + 0.1)) * size
    stem = tf.abs(x - 0.6) * 0.62 * size
    strokes = tf.where(code < 0.34, oval, tf.where(code < 0.67, bar, stem))
    upper = tf.where(code < 0.5, oval, bar)
    distance = tf.where(box, tf.where(y < 0.0, upper, strokes), 9.0)
    return covered(distance - pen, tf.fill(tf.shape(distance), drawn[0] < 0.55))


def _worn(size_px: int, drawn: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """What is left of the print: all of it, or all but some places."""
    cells = size_px // _GRAIN_PX + 2
    grain = Stream("occlusions.scale_wear").uniform(seed, [cells, cells, 1])
    grain = tf.image.resize(grain, [size_px, size_px])
    worn = (grain < 0.2 + 0.25 * drawn[1]) & (drawn[0] < 0.3)
    return 1.0 - tf.cast(worn, tf.float32)
