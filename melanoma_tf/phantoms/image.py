"""Composition of a phantom from skin, lesion, light and occlusions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms.canvas import Canvas
from melanoma_tf.phantoms.lesions import PATTERNS, draw_lesion
from melanoma_tf.phantoms.occlusions import OCCLUDERS
from melanoma_tf.phantoms.skin import add_lesion, draw_light, draw_skin

PHANTOM_CLASSES = tuple(PATTERNS)
OCCLUSIONS = tuple(OCCLUDERS)

_SMALLEST_PX, _LARGEST_PX, _LARGEST_ASPECT = 16, 4096, 8
# Smaller pictures are drawn at least this large and downscaled, as by a camera.
_LEAST_DRAWN_PX = 128
# A change in some channel by more than this (of 255) is visible.
_VISIBLE = 6


@dataclass(frozen=True)
class PhantomSettings:
    """Size of phantoms, and the frequency of occlusions.

    Attributes:
        size_px: side of a square picture, or (height, width), each within [16, 4096] and neither
            more than 8 times the other.
        hairs: fraction of the pictures with hairs, within [0, 1].
        ruler: fraction with a ruler.
        ink: fraction with ink of a surgical marker.
        bubbles: fraction with bubbles in the gel.
        dark_corners: fraction with the dark corners of a round lens.

    Raises:
        MelanomaError: a size or a fraction is out of range.
    """

    size_px: int | tuple[int, int] = 256
    hairs: float = 0.5
    ruler: float = 0.15
    ink: float = 0.15
    bubbles: float = 0.15
    dark_corners: float = 0.2

    def __post_init__(self) -> None:
        sides = self.size_px if isinstance(self.size_px, tuple) else (self.size_px,) * 2
        whole = len(sides) == 2 and all(isinstance(side, (int, np.integer)) for side in sides)
        if (
            not whole
            or not _SMALLEST_PX <= min(sides) <= max(sides) <= _LARGEST_PX
            or max(sides) > _LARGEST_ASPECT * min(sides)
        ):
            raise MelanomaError(
                f"expected a phantom's size_px as a side or (height, width), whole numbers from "
                f"{_SMALLEST_PX} to {_LARGEST_PX}, neither over {_LARGEST_ASPECT} times the other; "
                f"found {self.size_px!r}"
            )
        for name in (*OCCLUSIONS, "dark_corners"):
            fraction = getattr(self, name)
            if not 0 <= fraction <= 1:
                raise MelanomaError(
                    f"expected the fraction of {name} within [0, 1]; found {fraction!r}"
                )

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(self.size_px, tuple):
            return self.size_px
        return self.size_px, self.size_px


@dataclass(frozen=True)
class Phantom:
    """A synthetic image with its truth.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        clean: the same picture without occlusions; equals `image` outside `occlusion_mask`.
        lesion_mask: (height, width) uint8, 0 skin, 255 lesion; the whole lesion is in the frame.
        occlusion_mask: (height, width) uint8, 255 where an occlusion visibly changed the picture.
        class_name: one of `PHANTOM_CLASSES`.
        occlusions: names of the drawn ones, out of `OCCLUSIONS`; below about 32 px one may be too
            faint for the mask.
    """

    image: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]
    lesion_mask: npt.NDArray[np.uint8]
    occlusion_mask: npt.NDArray[np.uint8]
    class_name: str
    occlusions: tuple[str, ...]


def draw_phantom(class_name: str, seed: int, settings: PhantomSettings | None = None) -> Phantom:
    """Draw one phantom; the same arguments give the same pixels.

    Two sizes of one aspect ratio show the same scene, and settings that differ in their
    occlusions only have the same clean picture.

    Args:
        class_name: one of `PHANTOM_CLASSES`.
        seed: whole number, 0 or larger.
        settings: size and occlusions; `PhantomSettings()` by default.

    Raises:
        MelanomaError: an unknown class, or a negative seed.
    """
    settings = settings or PhantomSettings()
    if class_name not in PATTERNS:
        raise MelanomaError(
            f"expected a phantom's class out of {', '.join(PATTERNS)}; found {class_name!r}"
        )
    if seed < 0:
        raise MelanomaError(f"expected a seed of 0 or larger; found {seed}")
    height, width = settings.height_width
    enlarged = -(-_LEAST_DRAWN_PX // min(height, width))
    canvas = Canvas(height * enlarged, width * enlarged)
    # Each part has its own generator, so that none depends on the draws of another.
    chance = [np.random.default_rng([seed, part]) for part in range(4 + len(OCCLUDERS))]
    skin = draw_skin(canvas, chance[0])
    lesion = draw_lesion(canvas, chance[1], PATTERNS[class_name])
    light = draw_light(canvas, chance[2], dark_corners=chance[3].random() < settings.dark_corners)
    scene = add_lesion(skin, lesion)
    clean = _reduced(light.photograph(scene), height, width)
    present = []
    for (name, occluder), rng in zip(OCCLUDERS.items(), chance[4:]):
        if rng.random() < getattr(settings, name):
            scene = occluder(canvas, rng, scene, lesion)
            present.append(name)
    image, occlusion_mask = clean, np.zeros((height, width), np.uint8)
    if present:
        occluded = _reduced(light.photograph(scene), height, width)
        occlusion_mask = _visible_change(clean, occluded)
        image = np.where(occlusion_mask[..., None] > 0, occluded, clean)
    lesion_mask = np.where(_reduced(lesion.mask, height, width) > 127, 255, 0).astype(np.uint8)
    return Phantom(image, clean, lesion_mask, occlusion_mask, class_name, tuple(sorted(present)))


def _reduced(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    if picture.shape[:2] == (height, width):
        return picture
    smaller: npt.NDArray[np.uint8] = cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA
    )
    return smaller


def _visible_change(
    clean: npt.NDArray[np.uint8], occluded: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    change = cv2.absdiff(clean, occluded).max(axis=2)
    return np.where(change > _VISIBLE, 255, 0).astype(np.uint8)
