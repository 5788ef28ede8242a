"""Settings of augmentation, and their named presets. Free of TensorFlow.

Each preset stands here only; commands take the names of `CLASSIFIER_PRESETS` and
`SEGMENTER_PRESETS` for their choices.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from melanoma_tf.core.errors import MelanomaError

Preset = TypeVar("Preset")


@dataclass(frozen=True)
class ClassifierAugmentation:
    """Augmentation of a classifier's training images; the defaults are the preset `standard`.

    Draws are uniform, those of factors in their logarithm.

    Attributes:
        crops: cut the square at a random place; otherwise from the middle.
        flips: mirror left-right and top-bottom, each with probability one half.
        quarter_turns: turn by 0, 90, 180 or 270 degrees.
        rotation_degrees: largest rotation, either way; the image is continued by its mirror image.
        smallest_scale, largest_scale: of the magnification; above 1 the image is enlarged and less
            of it is visible.
        elastic: standard deviation of a smooth random displacement, as a fraction of the side.
        brightness, contrast, saturation: largest relative change: the factor is between
            1 / (1 + value) and 1 + value.
        hue: largest turn of the hues, as a fraction of their circle, either way.
        cutout: fraction of the images in which a square is filled with the image's mean colour.
        cutout_side: side of that square, as a fraction of the image's side.
        mixup: alpha of the beta distribution of the weights with which each image and its label are
            averaged with another of the batch (Zhang et al. 2018); 0 disables it.
        cutmix: alpha of the beta distribution of the area that is not replaced by a square of
            another image (Yun et al. 2019); 0 disables it. With both, half of the images are mixed
            in each way.

    Raises:
        MelanomaError: a value is out of its range.
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
        """Tell whether images are rotated, scaled or warped, so that pixels are interpolated."""
        scales = (self.smallest_scale, self.largest_scale) != (1, 1)
        return bool(self.rotation_degrees) or bool(self.elastic) or scales

    @property
    def recolours(self) -> bool:
        """Tell whether light or colours are changed."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    @property
    def mixes(self) -> bool:
        """Tell whether images of a batch are mixed, so that labels become soft labels."""
        return bool(self.mixup or self.cutmix)


def _check(name: str, value: float, most: float) -> None:
    if not (0.0 <= value <= most and math.isfinite(value)):
        limit = "0 or more" if math.isinf(most) else f"within [0, {most:g}]"
        raise MelanomaError(f"expected {name} {limit}; found {value}")


@dataclass(frozen=True)
class GeometricAugmentation:
    """Ranges of the geometric augmentation; draws are uniform, that of the scale in its logarithm.

    Attributes:
        flips: mirror left-right and top-bottom, each with probability one half.
        rotation_degrees: largest rotation, either way.
        smallest_scale: smallest magnification; below 1 the surrounding skin is continued.
        largest_scale: largest magnification.
        smallest_lesion: the scale may go below `smallest_scale` until the lesion's diameter (the
            root of its area) is this fraction of the side; 1 disables it. Dermatoscopes differ most
            in how much skin they show around a lesion.
        shift: largest shift along each axis, as a fraction of the side.
        elastic: standard deviation of a smooth random displacement, as a fraction of the side.
        aspect: largest factor by which either the width or the height is stretched, uniform in its
            logarithm; 1 disables it. Images of all aspect ratios are squeezed to squares.
    """

    flips: bool = True
    rotation_degrees: float = 180.0
    smallest_scale: float = 0.5
    largest_scale: float = 1.3
    smallest_lesion: float = 0.1
    shift: float = 0.1
    elastic: float = 0.02
    aspect: float = 1.0


@dataclass(frozen=True)
class PhotometricAugmentation:
    """Strength of the photometric augmentation, and how often each part of it is applied.

    Attributes:
        colour: strength of the changes of hue, saturation, white balance, exposure and contrast; 0
            changes nothing, 1 a little more than the difference between dermatoscopes.
        illumination: largest relative difference of the light from side to side.
        blur: fraction of the images whose focus is changed, to softer or sharper.
        dark_corners: fraction of the images seen through a round lens.
        hairs, ruler, ink, sticker: fraction of the images that get each of these.
        mottled_skin, pale_lesion: fraction of the images whose skin or lesion is changed, see
            `augmentation.skin`.
        gel: fraction of the images with edges of a plate, drops and glare.
        random_convolution: fraction of the images that `augmentation.random_convolution` changes.
    """

    colour: float = 1.0
    illumination: float = 0.3
    blur: float = 0.5
    dark_corners: float = 0.25
    hairs: float = 0.3
    ruler: float = 0.25
    ink: float = 0.15
    sticker: float = 0.2
    mottled_skin: float = 0.0
    pale_lesion: float = 0.0
    gel: float = 0.0
    random_convolution: float = 0.0


class SegmenterAugmentation(NamedTuple):
    """Augmentation of a segmenter's training images; None leaves a part out."""

    geometric: GeometricAugmentation | None
    photometric: PhotometricAugmentation | None


CLASSIFIER_PRESETS = {
    "none": ClassifierAugmentation(crops=False, flips=False),
    "standard": ClassifierAugmentation(),
    # With the quarter turns, few degrees reach nearly every orientation and invent little skin.
    "strong": ClassifierAugmentation(
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

_SMALL_MOVES = GeometricAugmentation(
    rotation_degrees=15.0, smallest_scale=0.9, largest_scale=1.1, smallest_lesion=1.0, elastic=0.0
)
_WITHOUT_OVERLAYS = PhotometricAugmentation(
    dark_corners=0.0, hairs=0.0, ruler=0.0, ink=0.0, sticker=0.0
)
_SMALL_COLOUR_CHANGES = dataclasses.replace(
    _WITHOUT_OVERLAYS, colour=0.2, illumination=0.0, blur=0.0
)
_SKIN = PhotometricAugmentation(mottled_skin=0.5, pale_lesion=0.5, gel=0.4)
_DEVICES = dataclasses.replace(_SKIN, random_convolution=1.0)
_HALF_DEVICES = dataclasses.replace(_SKIN, random_convolution=0.5)

# Each but `mixed` adds to the one before; `mild` is what segmentation networks are commonly
# trained with.
SEGMENTER_PRESETS = {
    "none": SegmenterAugmentation(None, None),
    "mild": SegmenterAugmentation(_SMALL_MOVES, _SMALL_COLOUR_CHANGES),
    "geometric": SegmenterAugmentation(GeometricAugmentation(), None),
    "photometric": SegmenterAugmentation(GeometricAugmentation(), _WITHOUT_OVERLAYS),
    "full": SegmenterAugmentation(GeometricAugmentation(), PhotometricAugmentation()),
    "skin": SegmenterAugmentation(GeometricAugmentation(), _SKIN),
    "devices": SegmenterAugmentation(GeometricAugmentation(), _DEVICES),
    "mixed": SegmenterAugmentation(GeometricAugmentation(aspect=1.4), _HALF_DEVICES),
}


def preset(presets: Mapping[str, Preset], name: str) -> Preset:
    """Return the preset of a name.

    Raises:
        MelanomaError: no preset has this name.
    """
    if name not in presets:
        raise MelanomaError(f"expected an augmentation out of {', '.join(presets)}; found {name}")
    return presets[name]
