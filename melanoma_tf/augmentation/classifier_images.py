"""Augmentation of a classifier's training images, one by one: what is drawn, and what it does.

Parameters are drawn as a pure function of a seed (`draw`); everything else is a pure function of
an image and those parameters. Graph ops. Whole batches are mixed by `augmentation.mixing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from melanoma_tf.augmentation import geometric as augment
from melanoma_tf.augmentation import photometric as appearance
from melanoma_tf.augmentation.mixing import outside_square
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images import loading


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied; the defaults are the preset `standard`.

    Draws are uniform, those of factors in their logarithm.

    Attributes:
        crops: cut the square anywhere; otherwise from the middle.
        flips: mirror left-right and top-bottom, each with probability one half.
        quarter_turns: turn by 0, 90, 180 or 270 degrees.
        rotation_degrees: turn by up to this angle, either way; beyond the image its mirror image
            goes on.
        smallest_scale, largest_scale: of what the picture shows; above 1 it is enlarged, and less
            of it is seen.
        elastic: standard deviation of a smooth random displacement, as a share of the side.
        brightness, contrast, saturation: by up to this share more or less of each: the factor is
            between 1 / (1 + share) and 1 + share.
        hue: turn the hues by up to this share of their circle, either way.
        cutout: share of the images in which a square is hidden behind the image's mean colour.
        cutout_side: of that square, as a share of the image's side.
        mixup: alpha of the beta distribution by whose draws each image is averaged with another of
            its batch, and their labels with them (Zhang et al. 2018); 0 for never.
        cutmix: alpha likewise, where a rectangle of another image is pasted in (Yun et al. 2019).
            With both, half of the images are mixed in each way.

    Raises:
        MelanomaError: a value out of its range.
    """

    crops: bool = True
    flips: bool = True
    quarter_turns: bool = False
    rotation_degrees: float = 0.0
    smallest_scale: float = 1.0
    largest_scale: float = 1.0
    elastic: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cutout: float = 0.0
    cutout_side: float = 0.3
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "elastic", "mixup", "cutmix"):
            _check(name, getattr(self, name), math.inf)
        for name in ("cutout", "cutout_side"):
            _check(name, getattr(self, name), 1.0)
        _check("hue", self.hue, 0.5)
        _check("rotation_degrees", self.rotation_degrees, 180.0)
        if not 0.0 < self.smallest_scale <= self.largest_scale < math.inf:
            raise MelanomaError(
                "expected a smallest scale above 0 and a largest one no smaller; found "
                f"{self.smallest_scale} and {self.largest_scale}"
            )

    @property
    def resamples(self) -> bool:
        """Whether images are turned freely or scaled, so that pixels are interpolated."""
        return bool(self.rotation_degrees) or (self.smallest_scale, self.largest_scale) != (1, 1)

    @property
    def recolours(self) -> bool:
        """Whether light or colours are varied."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed, so that labels become shares of the classes."""
        return bool(self.mixup or self.cutmix)


def _check(name: str, value: float, most: float) -> None:
    if not (0.0 <= value <= most and math.isfinite(value)):
        limit = "0 or more" if math.isinf(most) else f"within [0, {most:g}]"
        raise MelanomaError(f"expected {name} {limit}; found {value}")


PRESETS = {
    "none": Augmentation(crops=False, flips=False),
    "standard": Augmentation(),
    # Few degrees beside the quarter turns reach every orientation nearly, and make up little skin.
    "strong": Augmentation(
        quarter_turns=True,
        rotation_degrees=20.0,
        smallest_scale=0.85,
        largest_scale=1.3,
        elastic=0.01,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.02,
        cutout=0.25,
    ),
}


def preset(name: str) -> Augmentation:
    """An augmentation by name.

    Raises:
        MelanomaError: there is none.
    """
    if name not in PRESETS:
        raise MelanomaError(f"expected an augmentation out of {', '.join(PRESETS)}; found {name}")
    return PRESETS[name]


class Draws(NamedTuple):
    """What was drawn for one image; all scalars are float32 unless said otherwise.

    Attributes:
        place: where the crop lies in the room that the image leaves it, rows and columns in
            [0, 1], `(2,)`.
        flips: bool `(2,)`: top to bottom, left to right.
        quarter_turns: int32, 0 to 3, counter-clockwise.
        angle: radians, counter-clockwise, on top of those.
        scale: 2 shows half as much at twice the size.
        hue, saturation, contrast, brightness: see `appearance.recolour`.
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


def draw(augmentation: Augmentation, seed: tf.Tensor) -> Draws:
    """Draw one image's parameters.

    Args:
        augmentation: the ranges.
        seed: int64 `(2,)`; the same seed draws the same. The next two after it, `seed + [0, 1]`,
            belong to the draw as well.
    """
    drawn = tf.random.stateless_uniform([14], seed)

    def factor(index: int, low: float, high: float) -> tf.Tensor:
        return tf.exp(math.log(low) + drawn[index] * (math.log(high) - math.log(low)))

    def either_way(index: int, most: float) -> tf.Tensor:
        return (2.0 * drawn[index] - 1.0) * most

    def share(index: int, most: float) -> tf.Tensor:
        return factor(index, 1.0 / (1.0 + most), 1.0 + most)

    turns = tf.cast(drawn[4] * 4.0, tf.int32)
    return Draws(
        place=drawn[0:2] if augmentation.crops else tf.fill([2], 0.5),
        flips=(drawn[2:4] < 0.5) & augmentation.flips,
        quarter_turns=turns if augmentation.quarter_turns else tf.zeros_like(turns),
        angle=either_way(5, augmentation.rotation_degrees * math.pi / 180.0),
        scale=factor(6, augmentation.smallest_scale, augmentation.largest_scale),
        hue=either_way(7, augmentation.hue),
        saturation=share(8, augmentation.saturation),
        contrast=share(9, augmentation.contrast),
        brightness=share(10, augmentation.brightness),
        cutout=drawn[11] < augmentation.cutout,
        cutout_centre=drawn[12:14],
        flow_seed=tf.cast(seed, tf.int64) + [0, 1],
    )


def crop_corner(shape: tf.Tensor, size_px: int, place: tf.Tensor) -> tf.Tensor:
    """The first row and column of a crop.

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


def place(image: tf.Tensor, draws: Draws, size_px: int) -> tf.Tensor:
    """Crop, flip, turn and scale in one interpolation.

    At scale 1 and without an angle that is exactly a crop and `turn`. Beyond the image its mirror
    image goes on.

    Args:
        image: float32 `(height, width, channels)`, both sides at least `size_px`.
        draws: `place`, `flips`, `quarter_turns`, `angle` and `scale` are used.
        size_px: side of the result.

    Returns:
        float32 `(size_px, size_px, channels)`.
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    shown = size_px / draws.scale
    room = tf.maximum(sides - shown, 0.0)
    transform = augment.projective_transform(
        angle=draws.angle + tf.cast(draws.quarter_turns, tf.float32) * (math.pi / 2.0),
        flips=draws.flips,
        step_px=tf.fill([2], 1.0 / draws.scale),
        centre=(sides - 1.0) / 2.0 + (draws.place - 0.5) * room,
        size_px=size_px,
    )
    return augment.resample(image, transform, size_px)


def cut_out(image: tf.Tensor, centre: tf.Tensor, side: float) -> tf.Tensor:
    """Hide a square behind the image's mean colour (DeVries and Taylor 2017).

    Args:
        image: float32 `(size, size, 3)`.
        centre: rows and columns in [0, 1], `(2,)`; the square may reach beyond the image.
        side: as a share of the image's.
    """
    kept = outside_square(image.shape[0], centre, tf.constant(side))
    return tf.where(kept, image, tf.reduce_mean(image, [0, 1]))


def change(image: tf.Tensor, draws: Draws, augmentation: Augmentation) -> tf.Tensor:
    """What is done to a crop: warped, recoloured, a square of it hidden, as far as asked for.

    Args:
        image: `(size, size, 3)` RGB in [0, 255], uint8 or float32.
        draws: see `draw`.
        augmentation: tells which of them are used.

    Returns:
        uint8 of the same shape.
    """
    if image.dtype == tf.uint8 and not (
        augmentation.elastic or augmentation.recolours or augmentation.cutout
    ):
        return image
    image = tf.cast(image, tf.float32) / 255.0
    if augmentation.elastic:
        flow = augment.elastic_flow(image.shape[0], augmentation.elastic, draws.flow_seed)
        image = augment.warp(image, flow)
    if augmentation.recolours:
        image = appearance.recolour(
            image,
            hue=draws.hue,
            saturation=draws.saturation,
            contrast=draws.contrast,
            brightness=draws.brightness,
        )
    if augmentation.cutout:
        whole = image
        image = tf.cond(
            draws.cutout,
            lambda: cut_out(whole, draws.cutout_centre, augmentation.cutout_side),
            lambda: whole,
        )
    return tf.cast(tf.round(255.0 * image), tf.uint8)


def view(image: tf.Tensor, draws: Draws, augmentation: Augmentation, size_px: int) -> tf.Tensor:
    """All of it: the training view of a loaded image.

    Args:
        image: uint8 `(height, width, 3)`, both sides at least `size_px`.
        draws: see `draw`.
        augmentation: tells which of them are used.
        size_px: side of the result.

    Returns:
        uint8 `(size_px, size_px, 3)`.
    """
    if augmentation.resamples:
        moved = place(tf.cast(image, tf.float32), draws, size_px)
    else:
        corner = crop_corner(tf.shape(image)[:2], size_px, draws.place)
        moved = _turned(loading.crop(image, corner, size_px), draws, augmentation)
    return change(moved, draws, augmentation)


def load_view(
    encoded: tf.Tensor,
    draws: Draws,
    augmentation: Augmentation,
    *,
    short_side_px: int,
    size_px: int,
) -> tf.Tensor:
    """`view` of an encoded image scaled to a short side, decoding no more of it than is seen.

    Returns:
        uint8 `(size_px, size_px, 3)`.
    """
    if augmentation.resamples:
        return view(loading.load_image(encoded, short_side_px), draws, augmentation, size_px)
    crop = loading.load_crop(
        encoded, short_side_px, size_px, lambda shape: crop_corner(shape, size_px, draws.place)
    )
    return change(_turned(crop, draws, augmentation), draws, augmentation)


def _turned(image: tf.Tensor, draws: Draws, augmentation: Augmentation) -> tf.Tensor:
    return turn(image, draws.flips, draws.quarter_turns if augmentation.quarter_turns else None)
