"""Sheets of images: tiles, captions and margins on white, encoded as PNG or JPEG.

Images are uint8 RGB arrays `(height, width, 3)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_WHITE = 255
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_BASELINE = 0.7  # Of a caption's height.


def side_by_side(images: Sequence[Pixels], gap_px: int = 0) -> Pixels:
    """Join images from left to right; lower ones are extended at the bottom."""
    height = max(image.shape[0] for image in images)
    gap = _blank(height, gap_px)
    parts = [part for image in images for part in (gap, extend(image, height, image.shape[1]))]
    return np.concatenate(parts[1:], axis=1)


def stack(images: Sequence[Pixels], gap_px: int = 0) -> Pixels:
    """Join images from top to bottom; narrower ones are extended at the right."""
    width = max(image.shape[1] for image in images)
    gap = _blank(gap_px, width)
    parts = [part for image in images for part in (gap, extend(image, image.shape[0], width))]
    return np.concatenate(parts[1:], axis=0)


def extend(image: Pixels, height_px: int, width_px: int) -> Pixels:
    """Extend an image at the bottom and at the right; it must not be larger than the result."""
    return add_margins(image, bottom=height_px - image.shape[0], right=width_px - image.shape[1])


def add_margins(
    image: Pixels, *, top: int = 0, right: int = 0, bottom: int = 0, left: int = 0
) -> Pixels:
    """Add white margins, in pixels."""
    return np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=_WHITE)


def caption(text: str, width_px: int, *, height_px: int = 20, left_px: int = 0) -> Pixels:
    """Write one line of text in black on a white strip; what does not fit is cut off.

    Args:
        text: ASCII.
        width_px: width of the strip.
        height_px: height of the strip.
        left_px: where the text begins.
    """
    strip = _blank(height_px, width_px)
    place = (left_px, round(_BASELINE * height_px))
    return cv2.putText(strip, text, place, _FONT, _FONT_SCALE, (0, 0, 0), 1, cv2.LINE_AA)


def fit(image: Pixels, side_px: int) -> Pixels:
    """Scale an image, up or down, to a long side of `side_px`; the aspect is kept."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def resize_to_square(image: Pixels, side_px: int) -> Pixels:
    """Scale a square image by cubic interpolation, which suits small images that are enlarged."""
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_CUBIC)


def encode_png(image: Pixels, *, compression: int | None = None) -> bytes:
    """Encode as PNG; a compression of 0 to 9 replaces OpenCV's default."""
    options = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    return _encode(image, ".png", options)


def encode_jpeg(image: Pixels, *, quality: int) -> bytes:
    """Encode as JPEG of a quality in [0, 100]."""
    return _encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(image: Pixels, suffix: str, options: Sequence[int]) -> bytes:
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert done, "OpenCV encodes any uint8 image"
    return encoded.tobytes()


def _blank(height_px: int, width_px: int) -> Pixels:
    return np.full((height_px, width_px, 3), _WHITE, np.uint8)
