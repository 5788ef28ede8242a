"""Overlays of what lies between lens and lesion: hairs, ruler, ink, sticker, gel, dark corners.

They are cheap, for photometric augmentation; `augmentation.synthetic_occlusions` draws in finer
detail and returns the coverage, for training occlusion detectors and inpainters.

An overlay takes an image, a mask and an example's seed, and returns image and mask; the mask loses
what is hidden. Coordinates run from -1 to 1 over the image, which may have been squeezed to a
square.
"""

from __future__ import annotations

import math
from typing import Callable

import tensorflow as tf

from melanoma_tf.augmentation.shapes import (
    centred_coordinates,
    nearest_tick,
    paint_over,
    turned,
)
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.noise import smooth_noise

Overlay = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_HAIRS = 14
_GEL_EDGES = 4


def hairs(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw up to 14 arcs, dark or light; the lesion under a hair stays lesion."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.hair_lines").uniform(seed, [7, _HAIRS])
    along, across = turned(rows, columns, drawn[0] * math.pi)
    bow = (drawn[1] - 0.5) * 1.2
    distance = tf.abs(across - (drawn[2] - 0.5) * 2.4 - bow * along * along)
    width = (0.5 + drawn[3]) * 1.6 / image.shape[0]
    within = tf.abs(along - (drawn[4] - 0.5)) < 0.3 + drawn[5]
    present = drawn[6] < Stream("overlays.hair_number").uniform(seed, [])
    ink = tf.clip_by_value(1.5 - distance / width, 0.0, 1.0) * tf.cast(within & present, tf.float32)
    colour = Stream("overlays.hair_colour").uniform(seed, [3], 0.02, 0.35)
    light = Stream("overlays.hair_lightness").uniform(seed, []) < 0.15
    opacity = tf.reduce_max(ink, -1, keepdims=True)
    return paint_over(image, opacity, _either(light, 0.85, colour)), mask


def ruler(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw the line and ticks of a scale away from the middle, as some lenses have engraved."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.ruler_place").uniform(seed, [7])
    along, across = turned(rows, columns, drawn[0] * 2.0 * math.pi)
    above = across[..., 0] - (0.35 + 0.5 * drawn[1])
    along = along[..., 0] - (drawn[2] - 0.5)
    width = (0.8 + drawn[3]) / image.shape[0]
    spacing = 0.05 + 0.1 * drawn[4]
    from_tick, is_long = nearest_tick(along, spacing)
    length = tf.where(is_long, 0.12, 0.06) * (0.5 + drawn[5])
    ticks = (from_tick < width) & (above > -length) & (above < width)
    marked = (ticks | (tf.abs(above) < width)) & (tf.abs(along) < 0.3 + 0.7 * drawn[6])
    colour = Stream("overlays.ruler_colour").uniform(seed, [3], 0.0, 0.35)
    return paint_over(image, 0.8 * tf.cast(marked, tf.float32)[..., tf.newaxis], colour), mask


def ink(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw the violet, broken ring of a surgical marker around the middle."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.ink_ring").uniform(seed, [8])
    rows, columns = rows - (drawn[0] - 0.5) * 0.4, columns - (drawn[1] - 0.5) * 0.4
    angle = tf.atan2(rows, columns)
    wobble = 0.12 * tf.sin(2.0 * angle + 6.3 * drawn[2]) + 0.06 * tf.sin(
        5.0 * angle + 9.0 * drawn[3]
    )
    distance = tf.abs(tf.sqrt(rows * rows + columns * columns) - 0.45 - 0.4 * drawn[4] - wobble)
    grain = Stream("overlays.ink_grain").uniform(seed, [12, 12, 1])
    grain = tf.image.resize(grain, image.shape[:2], method="bicubic")
    inked = tf.cast(
        (distance < 0.02 + 0.08 * drawn[5]) & (grain > 0.1 + 0.6 * drawn[6]), tf.float32
    )
    colour = tf.stack([0.25 + 0.3 * drawn[7], 0.15 + 0.2 * drawn[6], 0.45 + 0.3 * drawn[5]])
    # Multiplied rather than painted over: ink is transparent, and a lesion shows through it.
    return image * (1.0 - 0.8 * inked * (1.0 - colour)), mask


def sticker(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw a plain coloured disc that reaches in over the border."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.sticker_place").uniform(seed, [7])
    angle = drawn[0] * 2.0 * math.pi
    # Squeezed to a square, so that the border is at 1 along the nearer axis.
    border = 1.0 / tf.maximum(tf.abs(tf.cos(angle)), tf.abs(tf.sin(angle)))
    radius = 0.3 + 0.4 * drawn[1]
    away = border + radius * (0.9 - 1.3 * drawn[2])
    rows, columns = rows - away * tf.sin(angle), (columns - away * tf.cos(angle)) * 1.2
    inside = tf.cast(rows * rows + columns * columns < radius * radius, tf.float32)
    colour = 0.1 + 0.85 * drawn[3:6]
    # Never over the whole lesion, which would leave an image without one.
    hidden = tf.reduce_sum(inside * mask) / tf.maximum(tf.reduce_sum(mask), 1.0)
    inside = tf.where(hidden < 0.3, inside, tf.zeros_like(inside))
    return paint_over(image, inside, colour), mask * (1.0 - inside)


def gel(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw edges of a contact plate, drops and bubbles: thin arcs, bright or dark.

    What lies on their far side is a little lighter or darker, and blurred reflections glare. All
    of it is transparent, so that the mask stays.
    """
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.gel_edges").uniform(seed, [9, _GEL_EDGES])
    # The first is the plate's, around the middle; the others lie anywhere.
    spread = tf.constant([0.3] + [2.4] * (_GEL_EDGES - 1))
    radius = tf.constant([0.75] + [0.15] * (_GEL_EDGES - 1)) + 0.5 * drawn[0]
    angle = tf.atan2(rows, columns)
    wobble = 0.05 * tf.square(drawn[1]) * tf.sin(3.0 * angle + 6.3 * drawn[2])
    distance = tf.sqrt(
        tf.square(rows - spread * (drawn[3] - 0.5))
        + tf.square((columns - spread * (drawn[4] - 0.5)) * (0.75 + 0.5 * drawn[5]))
    )
    outside = distance - radius * (1.0 + wobble)
    chances = Stream("overlays.gel_presence").uniform(seed, [_GEL_EDGES])
    present = tf.cast(chances < 0.4, tf.float32)
    width = (1.0 + 3.0 * drawn[6]) / image.shape[0]
    # Light comes from a side and makes one part of an edge shine.
    facing = tf.maximum(tf.cos(angle - 6.3 * drawn[7]), 0.0)
    line = tf.exp(-tf.square(outside / width)) * facing * (drawn[8] - 0.3)
    step = tf.sigmoid(outside / width) * 0.3 * (drawn[2] - 0.6)
    image *= 1.0 + tf.reduce_sum(present * step, -1, keepdims=True)
    shine = tf.reduce_sum(present * line, -1, keepdims=True)
    grain = smooth_noise(image.shape[0], 14, Stream("overlays.gel_glare")(seed))
    level = Stream("overlays.gel_glare_level").uniform(seed, [], 0.9, 3.0)
    shine += tf.clip_by_value(grain - level, 0.0, 0.5)
    bright = paint_over(image, shine, tf.ones([3]))
    return tf.where(shine > 0.0, bright, image * (1.0 + shine)), mask


def dark_corners(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Show a round field of view with a dark, more or less sharp rim."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("overlays.lens_rim").uniform(seed, [6])
    rows, columns = (rows - 0.2 * (drawn[0] - 0.5)) * (0.7 + 0.3 * drawn[1]), columns
    columns = columns - 0.2 * (drawn[2] - 0.5)
    radius, softness = 0.8 + 0.4 * drawn[3], 0.02 + 0.25 * drawn[4] * drawn[4]
    outside = (tf.sqrt(rows * rows + columns * columns) - radius) / softness
    dark = tf.clip_by_value(outside, 0.0, 1.0)
    seen = mask * tf.cast(dark < 0.9, tf.float32)
    return paint_over(image, dark, tf.fill([3], 0.15 * drawn[5])), seen


def _either(condition: tf.Tensor, value: float, otherwise: tf.Tensor) -> tf.Tensor:
    return tf.where(condition, tf.fill(tf.shape(otherwise), value), otherwise)
