"""Drawing what lies between lens and lesion: hairs, rulers, ink, stickers, the lens' dark rim.

Each drawer takes an image, a mask and a seed, and returns image and mask; the mask loses what is
hidden. Coordinates run from -1 to 1 over the picture, which may have been squeezed to a square.
"""

from __future__ import annotations

import math
from typing import Callable

import tensorflow as tf

from melanoma_tf.images.noise import smooth_noise

Overlay = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_HAIRS = 14
_GEL_EDGES = 4


def coordinates(size_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Row and column of every pixel in [-1, 1], each float32 `(size, size, 1)`."""
    line = tf.linspace(-1.0, 1.0, size_px)
    rows, columns = tf.meshgrid(line, line, indexing="ij")
    return rows[..., tf.newaxis], columns[..., tf.newaxis]


def draw_hairs(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Up to 14 arcs, dark or light; the lesion under a hair stays lesion."""
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([7, _HAIRS], seed)
    along, across = turned(rows, columns, drawn[0] * math.pi)
    bow = (drawn[1] - 0.5) * 1.2
    distance = tf.abs(across - (drawn[2] - 0.5) * 2.4 - bow * along * along)
    width = (0.5 + drawn[3]) * 1.6 / image.shape[0]
    within = tf.abs(along - (drawn[4] - 0.5)) < 0.3 + drawn[5]
    present = drawn[6] < tf.random.stateless_uniform([], seed + [0, 1])
    ink = tf.clip_by_value(1.5 - distance / width, 0.0, 1.0) * tf.cast(within & present, tf.float32)
    colour = tf.random.stateless_uniform([3], seed + [0, 2], 0.02, 0.35)
    light = tf.random.stateless_uniform([], seed + [0, 3]) < 0.15
    return _over(image, tf.reduce_max(ink, -1, keepdims=True), _either(light, 0.85, colour)), mask


def draw_ruler(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A scale's line and ticks, away from the middle, as some lenses have engraved."""
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([7], seed)
    along, across = turned(rows, columns, drawn[0] * 2.0 * math.pi)
    above = across[..., 0] - (0.35 + 0.5 * drawn[1])
    along = along[..., 0] - (drawn[2] - 0.5)
    width = (0.8 + drawn[3]) / image.shape[0]
    spacing = 0.05 + 0.1 * drawn[4]
    number = tf.round(along / spacing)
    length = tf.where(tf.equal(tf.math.floormod(number, 5.0), 0.0), 0.12, 0.06) * (0.5 + drawn[5])
    ticks = (tf.abs(along - number * spacing) < width) & (above > -length) & (above < width)
    marked = (ticks | (tf.abs(above) < width)) & (tf.abs(along) < 0.3 + 0.7 * drawn[6])
    colour = tf.random.stateless_uniform([3], seed + [0, 1], 0.0, 0.35)
    return _over(image, 0.8 * tf.cast(marked, tf.float32)[..., tf.newaxis], colour), mask


def draw_ink(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A surgical marker's violet, broken ring around the middle."""
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([8], seed)
    rows, columns = rows - (drawn[0] - 0.5) * 0.4, columns - (drawn[1] - 0.5) * 0.4
    angle = tf.atan2(rows, columns)
    wobble = 0.12 * tf.sin(2.0 * angle + 6.3 * drawn[2]) + 0.06 * tf.sin(
        5.0 * angle + 9.0 * drawn[3]
    )
    distance = tf.abs(tf.sqrt(rows * rows + columns * columns) - 0.45 - 0.4 * drawn[4] - wobble)
    grain = tf.random.stateless_uniform([12, 12, 1], seed + [0, 1])
    grain = tf.image.resize(grain, image.shape[:2], method="bicubic")
    inked = tf.cast(
        (distance < 0.02 + 0.08 * drawn[5]) & (grain > 0.1 + 0.6 * drawn[6]), tf.float32
    )
    colour = tf.stack([0.25 + 0.3 * drawn[7], 0.15 + 0.2 * drawn[6], 0.45 + 0.3 * drawn[5]])
    # Multiplied rather than painted over: ink is transparent, and a lesion shows through it.
    return image * (1.0 - 0.8 * inked * (1.0 - colour)), mask


def draw_sticker(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A plain coloured disc, of which a part reaches in over the border."""
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([7], seed)
    angle = drawn[0] * 2.0 * math.pi
    # Squeezed to a square, so that the border is at 1 along the nearer axis.
    border = 1.0 / tf.maximum(tf.abs(tf.cos(angle)), tf.abs(tf.sin(angle)))
    radius = 0.3 + 0.4 * drawn[1]
    away = border + radius * (0.9 - 1.3 * drawn[2])
    rows, columns = rows - away * tf.sin(angle), (columns - away * tf.cos(angle)) * 1.2
    inside = tf.cast(rows * rows + columns * columns < radius * radius, tf.float32)
    colour = 0.1 + 0.85 * drawn[3:6]
    # Never over the whole lesion, of which then no trace would be left.
    hidden = tf.reduce_sum(inside * mask) / tf.maximum(tf.reduce_sum(mask), 1.0)
    inside = tf.where(hidden < 0.3, inside, tf.zeros_like(inside))
    return _over(image, inside, colour), mask * (1.0 - inside)


def draw_gel(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The edges of a contact plate and of drops and bubbles under it: thin arcs, bright or dark.

    What lies on their far side is a little lighter or darker, and blurred reflections glare. All
    of it is transparent, so that the mask stays.
    """
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([9, _GEL_EDGES], seed)
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
    present = tf.cast(tf.random.stateless_uniform([_GEL_EDGES], seed + [0, 1]) < 0.4, tf.float32)
    width = (1.0 + 3.0 * drawn[6]) / image.shape[0]
    # Light comes from a side and makes one part of an edge shine.
    facing = tf.maximum(tf.cos(angle - 6.3 * drawn[7]), 0.0)
    line = tf.exp(-tf.square(outside / width)) * facing * (drawn[8] - 0.3)
    step = tf.sigmoid(outside / width) * 0.3 * (drawn[2] - 0.6)
    image *= 1.0 + tf.reduce_sum(present * step, -1, keepdims=True)
    shine = tf.reduce_sum(present * line, -1, keepdims=True)
    grain = smooth_noise(image.shape[0], 14, seed + [0, 2])
    level = tf.random.stateless_uniform([], seed + [0, 3], 0.9, 3.0)
    shine += tf.clip_by_value(grain - level, 0.0, 0.5)
    return tf.where(shine > 0.0, _over(image, shine, tf.ones([3])), image * (1.0 + shine)), mask


def draw_dark_corners(
    image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A round field of view with a dark, more or less sharp rim."""
    rows, columns = coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([6], seed)
    rows, columns = (rows - 0.2 * (drawn[0] - 0.5)) * (0.7 + 0.3 * drawn[1]), columns
    columns = columns - 0.2 * (drawn[2] - 0.5)
    radius, softness = 0.8 + 0.4 * drawn[3], 0.02 + 0.25 * drawn[4] * drawn[4]
    outside = (tf.sqrt(rows * rows + columns * columns) - radius) / softness
    dark = tf.clip_by_value(outside, 0.0, 1.0)
    return _over(image, dark, tf.fill([3], 0.15 * drawn[5])), mask * tf.cast(dark < 0.9, tf.float32)


def turned(rows: tf.Tensor, columns: tf.Tensor, angle: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Coordinates along and across lines of some angles, `(size, size, angles)`."""
    angle = tf.reshape(angle, [1, 1, -1])
    along = columns * tf.cos(angle) + rows * tf.sin(angle)
    return along, rows * tf.cos(angle) - columns * tf.sin(angle)


def _over(image: tf.Tensor, opacity: tf.Tensor, colour: tf.Tensor) -> tf.Tensor:
    return image + opacity * (colour - image)


def _either(condition: tf.Tensor, value: float, otherwise: tf.Tensor) -> tf.Tensor:
    return tf.where(condition, tf.fill(tf.shape(otherwise), value), otherwise)
