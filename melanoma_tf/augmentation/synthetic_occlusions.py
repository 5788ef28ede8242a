"""Synthetic occlusions with their coverage: hairs, ticks, strokes, dots, bubbles.

Graph ops; every draw is a pure function of a seed. A coverage is float32 `(size, size, 1)`, the
fraction of each pixel that is covered. Lengths are in pixels of the working size
(`purification.classical.settings.WORKING_SIZE_PX`), of which a training image is a cut-out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from melanoma_tf.augmentation.shapes import around, covered, paint_over, turned
from melanoma_tf.augmentation.synthetic_bubbles import paint_bubbles
from melanoma_tf.augmentation.synthetic_scales import ticks
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.morphology import dilate

Coverage = Callable[[int, tf.Tensor], tf.Tensor]

_HAIRS, _STUBBLE, _STROKES, _DOTS = 16, 24, 3, 10
_GRAIN_PX = 12
# Fraction of the images that show bubbles.
BUBBLES_FRACTION = 0.55


def draw_occlusions(image: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw random occlusions over an image, and a mask of them as a detector would find it.

    The mask is as imperfect: its edge lies a little inside or outside of what was drawn, and
    sometimes pieces are missing.

    Args:
        image: float32 RGB `(size, size, 3)` in [0, 1].
        seed: int64 `(2,)`.

    Returns:
        The image, drawn over, and the holes, float32 `(size, size, 1)`, 0 or 1.
    """
    image, occluded = paint_occlusions(image, seed)
    return image, _detected(occluded, seed)


@tf.function  # Its graph takes long to build, and several places of a pipeline use it.
def paint_occlusions(image: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw random occlusions over an image.

    Args:
        image: float32 RGB `(size, size, 3)` in [0, 1].
        seed: int64 `(2,)`.

    Returns:
        The image, drawn over, and the fraction of each pixel that is covered, float32
        `(size, size, 1)` in [0, 1].
    """
    size_px = image.shape[0]
    nothing = tf.zeros([size_px, size_px, 1])
    fractions = [shape.fraction for shape in SHAPES.values()]
    chances = Stream("occlusions.presence").uniform(seed, [len(SHAPES)])
    present = chances < fractions
    # Where nothing else is, hairs are.
    present |= ~tf.reduce_any(present) & [index == 0 for index in range(len(SHAPES))]
    shape_seed = Stream("occlusions.shape")
    occluded = nothing
    for index, shape in enumerate(SHAPES.values()):
        own_seed = shape_seed(seed, index)
        draw = functools.partial(shape.coverage, size_px, own_seed)
        coverage = tf.cond(present[index], draw, lambda: tf.identity(nothing))
        image = _painted(image, coverage, shape, own_seed)
        occluded = tf.maximum(occluded, coverage)
    has_bubbles = Stream("occlusions.bubbles").uniform(seed, []) < BUBBLES_FRACTION
    image, opacity = tf.cond(
        has_bubbles, lambda: paint_bubbles(image, seed), lambda: (image, tf.identity(nothing))
    )
    return image, tf.maximum(occluded, opacity)


def hairs(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Up to 16 bent, tapered hairs, more or less in one direction."""
    drawn = Stream("occlusions.hair_lines").uniform(seed, [6, _HAIRS])
    common = Stream("occlusions.hair_style").uniform(seed, [4])
    angles = 2.0 * math.pi * common[0] + 3.0 * common[1] * (drawn[0] - 0.5)
    along, across = turned(*around(size_px, drawn[1:3], 1.6), angles)
    half_length = size_px * (0.1 + 1.2 * drawn[3])
    taper = 1.0 - 0.6 * tf.clip_by_value(0.5 + along / (2.0 * half_length), 0.0, 1.0)
    width = (0.8 + 4.2 * drawn[4] * common[2]) * taper
    bends = Stream("occlusions.hair_bow").uniform(seed, [_HAIRS]) - 0.5
    bow = 2.4 / size_px * bends
    distance = _from_parabola(along, across, bow)
    within = (tf.abs(along) < half_length) & (drawn[5] < 0.15 + 0.85 * common[3])
    return covered(distance - 0.5 * width, within)


def stubble(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Up to 24 short straight pieces in all directions, as of shaven hairs or printed digits."""
    drawn = Stream("occlusions.stubble_pieces").uniform(seed, [6, _STUBBLE])
    common = Stream("occlusions.stubble_style").uniform(seed, [3, 1])
    # All over, or crowded in one place.
    places = common[:2] + (drawn[:2] - common[:2]) * tf.where(common[2] < 0.5, 1.0, 0.3)
    along, across = turned(*around(size_px, places, 1.0), 2.0 * math.pi * drawn[2])
    within = (tf.abs(along) < 2.0 + 13.0 * drawn[3]) & (drawn[5] < 0.2 + 0.8 * common[2])
    return covered(tf.abs(across) - 0.5 * (0.8 + 2.4 * drawn[4]), within)


def strokes(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Up to 3 broad bent strokes of a marker."""
    drawn = Stream("occlusions.strokes").uniform(seed, [7, _STROKES])
    along, across = turned(*around(size_px, drawn[:2], 1.2), 2.0 * math.pi * drawn[2])
    distance = _from_parabola(along, across, 4.0 / size_px * (drawn[3] - 0.5))
    within = (tf.abs(along) < 8.0 + 40.0 * drawn[4]) & (drawn[5] < [1.0, 0.6, 0.4])
    return covered(distance - (1.5 + 4.5 * drawn[6]), within)


def dots(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Up to 10 dots, as of ink or of reflections."""
    drawn = Stream("occlusions.dots").uniform(seed, [4, _DOTS])
    rows, columns = around(size_px, drawn[:2], 1.2)
    away = tf.sqrt(tf.square(rows) + tf.square(columns))
    return covered(away - (1.0 + 6.0 * tf.square(drawn[2])), drawn[3] < 0.6)


class Shape(NamedTuple):
    """One kind of occlusion.

    Attributes:
        coverage: draws it.
        fraction: of the images that show it.
        darkest, lightest: between which its colour lies, RGB in [0, 1].
        bright: fraction of those that are blond to nearly white instead.
        faintest: least opacity; the greatest is 0.98.
    """

    coverage: Coverage
    fraction: float
    darkest: tuple[float, float, float]
    lightest: tuple[float, float, float]
    bright: float
    faintest: float = 0.5


SHAPES = {
    "hairs": Shape(hairs, 0.7, (0.03, 0.02, 0.01), (0.55, 0.45, 0.4), 0.12, faintest=0.3),
    "light_hairs": Shape(hairs, 0.3, (0.45, 0.35, 0.25), (0.7, 0.6, 0.5), 0.7),
    "stubble": Shape(stubble, 0.2, (0.03, 0.02, 0.01), (0.5, 0.4, 0.35), 0.1),
    "ticks": Shape(ticks, 0.2, (0.0, 0.0, 0.0), (0.3, 0.25, 0.35), 0.15),
    "pale_ticks": Shape(ticks, 0.45, (0.05, 0.05, 0.1), (0.45, 0.35, 0.5), 0.06, faintest=0.1),
    "strokes": Shape(strokes, 0.2, (0.1, 0.1, 0.15), (0.3, 0.45, 0.75), 0.0),
    # Blue or bright: dark brown dots and globules belong to lesions.
    "dots": Shape(dots, 0.08, (0.1, 0.1, 0.4), (0.35, 0.45, 0.85), 0.6),
}
"""Name -> how it is drawn, from the skin upwards but for the hairs, which are nearly always."""


def _from_parabola(along: tf.Tensor, across: tf.Tensor, bow: tf.Tensor) -> tf.Tensor:
    """Distance from a parabola to first order: the difference over the slope's length."""
    slope = 2.0 * bow * along
    return tf.abs(across - bow * tf.square(along)) * tf.math.rsqrt(1.0 + tf.square(slope))


def _painted(image: tf.Tensor, coverage: tf.Tensor, shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    drawn = Stream("occlusions.colour").uniform(seed, [7])
    # Dark to light all channels together, and a little each on its own.
    lightness = tf.clip_by_value(drawn[0] + 0.3 * (drawn[1:4] - 0.5), 0.0, 1.0)
    darkest, lightest = tf.constant(shape.darkest), tf.constant(shape.lightest)
    colour = darkest + lightness * (lightest - darkest)
    # From blond to white; blue is what they have least of.
    light = (0.65 + 0.33 * drawn[0]) * (1.0 - drawn[1] * drawn[2] * tf.constant([0.0, 0.15, 0.4]))
    colour = tf.where(drawn[4] < shape.bright, light, colour)
    soft = tf.nn.avg_pool2d(coverage[tf.newaxis], 3, 1, "SAME")[0]
    opacity = (shape.faintest + (0.98 - shape.faintest) * drawn[5]) * (
        coverage + drawn[6] * (soft - coverage)
    )
    return paint_over(image, opacity, colour)


def _detected(occluded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A detector's mask of what is covered, one pixel wider, in half of the images with gaps."""
    drawn = Stream("occlusions.detection").uniform(seed, [4])
    size_px = occluded.shape[0]
    grain = Stream("occlusions.missed_places").uniform(seed, [size_px // _GRAIN_PX + 2] * 2 + [1])
    grain = tf.image.resize(grain, [size_px, size_px])
    missed = (grain < 0.3 * drawn[0]) & (drawn[1] < 0.5)
    found = tf.cast((occluded > 0.1 + 0.4 * drawn[2]) & ~missed, tf.float32)[tf.newaxis]
    wider = dilate(found, 3)
    return tf.where(drawn[3] < 0.35, dilate(wider, 3), wider)[0]
