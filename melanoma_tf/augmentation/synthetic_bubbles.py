"""Bubbles of gel or air drawn at random, as immersion fluid shows them.

A bubble is a thin grey rim that is darker on one side, two bright arcs inside it where it mirrors
the lamps, and specks of light. Most are small, and they lie in chains and clusters. See
`augmentation.synthetic_occlusions`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from melanoma_tf.augmentation.shapes import around, paint_over
from melanoma_tf.core.random_streams import Stream

_BUBBLES = 12
_GRAIN_PX = 3


class _Bubbles(NamedTuple):
    """Polar coordinates of every pixel in every bubble.

    Attributes:
        away: distance from the centre minus the radius at that angle, `(size, size, bubbles)`.
        angle: likewise.
        radius: `(bubbles,)`.
        rim: opacity of the rim, `(bubbles,)`; some bubbles have none, only mirrored lamps.
        present: bool `(bubbles,)`.
    """

    away: tf.Tensor
    angle: tf.Tensor
    radius: tf.Tensor
    rim: tf.Tensor
    present: tf.Tensor


def paint_bubbles(image: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw bubbles over an image.

    Args:
        image: float32 RGB `(size, size, 3)` in [0, 1].
        seed: int64 `(2,)`.

    Returns:
        The image, drawn over, and how opaque the bubbles are, float32 `(size, size, 1)` in [0, 1].
    """
    style = Stream("bubbles.style").uniform(seed, [10])
    bubbles = _place(image.shape[0], seed, style)
    light = 2.0 * math.pi * style[4]
    rim = _rims(bubbles, seed, style, light)
    glints = tf.maximum(_arcs(bubbles, seed, light), _specks(bubbles, seed, style))
    # Skin within a bubble is a little darker or brighter; that is no occlusion of its own.
    within = _strongest(tf.clip_by_value(-bubbles.away, 0.0, 1.0), bubbles.present)
    image = tf.clip_by_value(image * (1.0 + 0.1 * (style[9] - 0.6) * within), 0.0, 1.0)
    # Rims take on the colour of the skin; mirrored lamps are white.
    grey = 0.25 + 0.35 * style[5] + 0.06 * (style[6:9] - 0.5)
    image = paint_over(image, rim, grey)
    white = 1.0 - 0.12 * style[6:9]
    return paint_over(image, glints, white), tf.maximum(rim, glints)


def _place(size_px: int, seed: tf.Tensor, style: tf.Tensor) -> _Bubbles:
    drawn = Stream("bubbles.places").uniform(seed, [8, _BUBBLES])
    # Scattered; crowded; or in a row, as along the edge of the plate.
    middle, spread = style[:2, tf.newaxis], tf.where(style[2] < 0.4, 1.0, 0.35)
    places = middle + (drawn[:2] - middle) * spread
    direction = 2.0 * math.pi * style[3]
    run = 1.2 * (drawn[0] - 0.5)
    row = middle + tf.stack([run * tf.sin(direction), run * tf.cos(direction)])
    places = tf.where(style[2] > 0.75, row + 0.05 * (drawn[1:2] - 0.5), places)
    rows, columns = around(size_px, places, 1.1)
    rows *= 1.0 + 0.25 * (drawn[2] - 0.5)
    away, angle = tf.sqrt(rows * rows + columns * columns), tf.atan2(rows, columns)
    radius = 2.5 + 42.0 * tf.pow(drawn[3], 2.5)
    # Some are squeezed out of shape.
    bulge = tf.where(drawn[4] < 0.2, 0.3, 0.03) * drawn[5]
    shape = 1.0 + bulge * (
        tf.sin(2.0 * angle + 6.3 * drawn[6]) + 0.5 * tf.sin(3.0 * angle + 6.3 * drawn[7])
    )
    chances = Stream("bubbles.presence").uniform(seed, [_BUBBLES])
    present = chances < 0.1 + 0.7 * style[9]
    rims = Stream("bubbles.rim_strength").uniform(seed, [_BUBBLES])
    rim = tf.where(rims < 0.12, 0.0, 0.3 + 0.6 * rims)
    return _Bubbles(away - radius * shape, angle, radius, rim, present)


def _rims(bubbles: _Bubbles, seed: tf.Tensor, style: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    drawn = Stream("bubbles.rims").uniform(seed, [2, _BUBBLES])
    half_width = 0.35 + 0.75 * drawn[0]
    line = tf.clip_by_value(1.0 - tf.abs(bubbles.away) / (half_width + 0.5), 0.0, 1.0)
    line = tf.minimum(1.6 * line, 1.0)
    # Nearly the same all around, or darker on one side.
    shade = 1.0 - 0.8 * drawn[1] * tf.square(tf.sin(0.5 * (bubbles.angle - light)))
    strength = bubbles.rim * (0.5 + 0.5 * style[8])
    return _strongest(line * shade * strength, bubbles.present)


def _arcs(bubbles: _Bubbles, seed: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    drawn = Stream("bubbles.arcs").uniform(seed, [4, _BUBBLES])
    # From the rim inwards; in the smallest, two dots near the centre.
    depth = bubbles.radius * (0.12 + 0.25 * drawn[0]) + 0.5
    depth = tf.where(bubbles.radius < 6.0, 0.65 * bubbles.radius, depth)
    half_width = 0.3 + 0.03 * bubbles.radius * drawn[1] + 0.6 * drawn[1]
    line = tf.clip_by_value(half_width + 0.5 - tf.abs(bubbles.away + depth), 0.0, 1.0)
    turn = tf.math.floormod(bubbles.angle - light + math.pi, 2.0 * math.pi) - math.pi
    near, far = tf.abs(turn), math.pi - tf.abs(turn)
    width = 0.25 + 0.9 * drawn[2]
    lit = tf.maximum(_within(near, width), _within(far, width * 0.8) * tf.sign(drawn[3] - 0.3))
    return _strongest(line * lit * (0.5 + 0.5 * drawn[3]), bubbles.present)


def _within(angle: tf.Tensor, half: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(6.0 * (half - angle), 0.0, 1.0)


def _specks(bubbles: _Bubbles, seed: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
    """Specks of light within some of the bubbles, fine and coarse, few and many."""
    size_px = bubbles.away.shape[0]
    fine, coarse = Stream("bubbles.specks"), Stream("bubbles.larger_specks")
    grain = tf.stack([_grain(size_px, _GRAIN_PX, fine, seed), _grain(size_px, 5, coarse, seed)])
    grain = tf.where(style[5] < 0.7, tf.reduce_max(grain, 0), grain[0])
    chances = Stream("bubbles.speckled").uniform(seed, [2, _BUBBLES])
    level = 0.96 - 0.4 * tf.where(chances[0] < 0.6, chances[1] * style[7], 0.0)
    specks = tf.clip_by_value(6.0 * (grain - level), 0.0, 1.0)
    inside = tf.clip_by_value(-bubbles.away - 1.0, 0.0, 1.0)
    return _strongest(specks * inside, bubbles.present) * (0.5 + 0.5 * style[4])


def _grain(size_px: int, grain_px: int, stream: Stream, seed: tf.Tensor) -> tf.Tensor:
    """Smoothed uniform numbers, `(size, size, 1)`."""
    cells = size_px // grain_px + 2
    return tf.image.resize(stream.uniform(seed, [cells, cells, 1]), [size_px, size_px])


def _strongest(values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    values *= tf.cast(present, tf.float32)
    return tf.clip_by_value(tf.reduce_max(values, -1, keepdims=True), 0.0, 1.0)
