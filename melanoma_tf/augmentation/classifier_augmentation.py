"""Augmentation of a classifier's training images, one by one: its random parameters, its effect.

Parameters are drawn as a pure function of a seed (`draw`); everything else is a pure function of
an image and those parameters. Operations of input pipelines. `augmentation.mixing` mixes batches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from melanoma_tf.augmentation import geometric, photometric
from melanoma_tf.augmentation.mixing import beyond_square
from melanoma_tf.augmentation.settings import ClassifierAugmentation
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images import loading


class Draws(NamedTuple):
    """The random parameters of one image; all scalars are float32 unless said otherwise.

    Attributes:
        place: of the crop within its possible positions, rows and columns in [0, 1], `(2,)`.
        flips: bool `(2,)`: top to bottom, left to right.
        quarter_turns: int32, 0 to 3, counter-clockwise.
        angle: radians, counter-clockwise, added to the quarter turns.
        scale: magnification.
        hue, saturation, contrast, brightness: see `photometric.recolour`.
        cutout: bool.
        cutout_centre: rows and columns in [0, 1], `(2,)`.
        flow_seed: int64 `(2,)`, of the elastic displacement.
    """

    place: tf.Tensor
    flips: tf.Tensor
    quarter_turns: tf.Tensor
    angle: tf.Tensor
    scale: tf.Tensor
    hue: tf.Tensor
    saturation: tf.Tensor
    contrast: tf.Tensor
    brightness: tf.Tensor
    cutout: tf.Tensor
    cutout_centre: tf.Tensor
    flow_seed: tf.Tensor


def draw(settings: ClassifierAugmentation, seed: tf.Tensor) -> Draws:
    """Draw one image's parameters.

    Args:
        settings: the ranges.
        seed: int `(2,)`; the same seed draws the same.
    """
    drawn = Stream("classifier.parameters").uniform(seed, [14])

    # One operation for all draws of a kind: each costs as much as drawing a hundred numbers.
    light = (settings.saturation, settings.contrast, settings.brightness)
    lowest = np.log([settings.smallest_scale, *(1.0 / (1.0 + most) for most in light)])
    highest = np.log([settings.largest_scale, *(1.0 + most for most in light)])
    shares = tf.gather(drawn, [6, 8, 9, 10])
    factors = tf.exp(np.float32(lowest) + shares * np.float32(highest - lowest))
    scale, saturation, contrast, brightness = tf.unstack(factors)
    most_either_way = [settings.rotation_degrees * math.pi / 180.0, settings.hue]
    angle, hue = tf.unstack((2.0 * tf.gather(drawn, [5, 7]) - 1.0) * most_either_way)
    turns = tf.cast(drawn[4] * 4.0, tf.int32)
    return Draws(
        place=drawn[0:2] if settings.crops else tf.fill([2], 0.5),
        flips=(drawn[2:4] < 0.5) & settings.flips,
        quarter_turns=turns if settings.quarter_turns else tf.zeros_like(turns),
        angle=angle,
        scale=scale,
        hue=hue,
        saturation=saturation,
        contrast=contrast,
        brightness=brightness,
        cutout=drawn[11] < settings.cutout,
        cutout_centre=drawn[12:14],
        flow_seed=Stream("classifier.elastic_flow")(seed),
    )


def crop_corner(shape: tf.Tensor, size_px: int, place: tf.Tensor) -> tf.Tensor:
    """Return the first row and column of a crop.

    Args:
        shape: height and width of the image, int32 `(2,)`.
        size_px: side of the crop.
        place: see `Draws`; a uniform draw reaches every corner equally often.

    Returns:
        int32 `(2,)`.
    """
    room = tf.cast(shape - size_px, tf.float32)
    return tf.cast(tf.clip_by_value(tf.math.ceil(place * (room + 1.0)) - 1.0, 0.0, room), tf.int32)


def turn(image: tf.Tensor, flips: tf.Tensor, quarter_turns: tf.Tensor | None = None) -> tf.Tensor:
    """Flip a square, then turn it by quarters, pixel by pixel.

    Args:
        image: `(size, size, channels)`, any dtype.
        flips: see `Draws`.
        quarter_turns: see `Draws`; None for none.

    Returns:
        The same shape and dtype.
    """
    image = tf.convert_to_tensor(image)
    flipped = tf.cond(flips[0], lambda: tf.reverse(image, [0]), lambda: image)
    flipped = tf.cond(flips[1], lambda: tf.reverse(flipped, [1]), lambda: flipped)
    if quarter_turns is not None:
        flipped = tf.image.rot90(flipped, quarter_turns)
    return tf.ensure_shape(flipped, image.shape)


def place(image: tf.Tensor, draws: Draws, size_px: int, elastic: float = 0.0) -> tf.Tensor:
    """Crop, flip, turn, scale and warp in one interpolation.

    At scale 1 and without an angle that is exactly a crop and `turn`. Beyond the image its mirror
    image goes on.

    Args:
        image: uint8 or float32 `(height, width, channels)`, both sides at least `size_px`.
        draws: `place`, `flips`, `quarter_turns`, `angle`, `scale` and `flow_seed` are used.
        size_px: side of the result.
        elastic: standard deviation of the displacement, as a fraction of the side.

    Returns:
        `(size_px, size_px, channels)` of the image's dtype.
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    shown = size_px / draws.scale
    room = tf.maximum(sides - shown, 0.0)
    transform = geometric.projective_transform(
        angle=draws.angle + tf.cast(draws.quarter_turns, tf.float32) * (math.pi / 2.0),
        flips=draws.flips,
        step_px=tf.fill([2], 1.0 / draws.scale),
        centre=(sides - 1.0) / 2.0 + (draws.place - 0.5) * room,
        size_px=size_px,
    )
    flow = geometric.coarse_flow(size_px, elastic, draws.flow_seed) if elastic else None
    return geometric.resample_warped(image, transform, flow, size_px)


def cut_out(image: tf.Tensor, centre: tf.Tensor, side: float) -> tf.Tensor:
    """Hide a square behind the image's mean colour (DeVries and Taylor 2017).

    Args:
        image: float32 `(size, size, 3)`.
        centre: rows and columns in [0, 1], `(2,)`; the square may reach beyond the image.
        side: of the square, as a fraction of the image's side.
    """
    height, width, channels = image.shape
    beyond = beyond_square(width, centre, tf.constant(side))
    rows, columns = tf.unstack(1.0 - tf.cast(beyond, tf.float32))
    # Lines of numbers instead of colours: to broadcast within colours is slow.
    lines = tf.reshape(image, [height, width * channels])
    colour = tf.reduce_mean(tf.reshape(tf.reduce_mean(lines, 0), [width, channels]), 0)
    hidden = rows[:, tf.newaxis] * tf.repeat(columns, channels)
    return tf.reshape(lines + hidden * (tf.tile(colour, [width]) - lines), image.shape)


def change(image: tf.Tensor, draws: Draws, settings: ClassifierAugmentation) -> tf.Tensor:
    """Recolour a crop and hide a square of it, as far as the settings say.

    Args:
        image: `(size, size, 3)` RGB in [0, 255], uint8 or float32.
        draws: see `draw`.
        settings: tell which of them are used.

    Returns:
        uint8 of the same shape.
    """
    if image.dtype == tf.uint8 and not (settings.recolours or settings.cutout):
        return image
    image = tf.cast(image, tf.float32)
    if settings.recolours:
        image = photometric.recolour(
            image,
            hue=draws.hue,
            saturation=draws.saturation,
            contrast=draws.contrast,
            brightness=draws.brightness,
            white=255.0,
        )
    if settings.cutout:
        whole = image
        image = tf.cond(
            draws.cutout,
            lambda: cut_out(whole, draws.cutout_centre, settings.cutout_side),
            lambda: whole,
        )
    return tf.cast(tf.round(image), tf.uint8)


def view(
    image: tf.Tensor, draws: Draws, settings: ClassifierAugmentation, size_px: int
) -> tf.Tensor:
    """Make the training view of a loaded image.

    Args:
        image: uint8 `(height, width, 3)`, both sides at least `size_px`.
        draws: see `draw`.
        settings: tell which of them are used.
        size_px: side of the result.

    Returns:
        uint8 `(size_px, size_px, 3)`.
    """
    if settings.resamples:
        moved = place(image, draws, size_px, settings.elastic)
    else:
        corner = crop_corner(tf.shape(image)[:2], size_px, draws.place)
        moved = _turned(loading.crop(image, corner, size_px), draws, settings)
    return change(moved, draws, settings)


def load_view(
    encoded: tf.Tensor,
    draws: Draws,
    settings: ClassifierAugmentation,
    *,
    short_side_px: int,
    size_px: int,
) -> tf.Tensor:
    """Make the training view of an encoded image, decoding no more of it than is visible.

    Returns:
        uint8 `(size_px, size_px, 3)`.
    """
    if settings.resamples:
        return view(loading.load_image(encoded, short_side_px), draws, settings, size_px)
    crop = loading.load_crop(
        encoded, short_side_px, size_px, lambda shape: crop_corner(shape, size_px, draws.place)
    )
    return change(_turned(crop, draws, settings), draws, settings)


def _turned(image: tf.Tensor, draws: Draws, settings: ClassifierAugmentation) -> tf.Tensor:
    return turn(image, draws.flips, draws.quarter_turns if settings.quarter_turns else None)
