"""Downscaling and encoding of uint8 arrays as JPEG or PNG, for records."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.decode import Pixels
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.schema import IMAGE_FORMATS


@dataclass(frozen=True)
class Encoding:
    """Storage of images.

    Attributes:
        image_size: length of the short side in pixels; smaller images keep their size.
        image_format: `jpeg` or `png`.
        quality: JPEG quality, 1 to 100; PNG ignores it.
    """

    image_size: int = 512
    image_format: str = "jpeg"
    quality: int = 95

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise MelanomaError(f"expected an image size of at least 1; found {self.image_size}")
        if self.image_format not in IMAGE_FORMATS:
            raise MelanomaError(
                f"expected an image format out of {', '.join(IMAGE_FORMATS)}; "
                f"found {self.image_format!r}"
            )
        if not 1 <= self.quality <= 100:
            raise MelanomaError(f"expected a JPEG quality from 1 to 100; found {self.quality}")


def fit_short_side(
    image: Pixels, image_size: int, *, interpolation: int = cv2.INTER_AREA
) -> Pixels:
    """Downscale an image by area averaging to a short side of `image_size`.

    Args:
        image: uint8 `(height, width, 3)`.
        image_size: in pixels; an image with a shorter short side is returned unchanged.
        interpolation: OpenCV's; another one for an image that was averaged before.

    Returns:
        uint8 `(height, width, 3)`; the long side is rounded to the nearest pixel.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    if short <= image_size:
        return image
    # Integer arithmetic (round half up), so that no platform rounds a side differently.
    new_height, new_width = (
        (2 * side * image_size + short) // (2 * short) for side in (height, width)
    )
    return cv2.resize(image, (new_width, new_height), interpolation=interpolation)


def fit_mask(mask: Pixels, height: int, width: int) -> Pixels:
    """Resize a mask to its image's size by nearest neighbour, which keeps the values 0 and 255.

    Args:
        mask: uint8 `(mask_height, mask_width)`.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        uint8 `(height, width)`.
    """
    if mask.shape == (height, width):
        return mask
    # The exact variant samples pixel centres; INTER_NEAREST shifts by up to half a pixel.
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def encode_image(image: Pixels, encoding: Encoding) -> bytes:
    """Encode an RGB image, uint8 `(height, width, 3)`, without any metadata.

    Raises:
        UnreadableImageError: the format cannot hold an image of that size.
    """
    return encode_bgr(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), encoding)


def encode_bgr(image: Pixels, encoding: Encoding) -> bytes:
    """Encode a BGR image as `encode_image` does an RGB one."""
    if encoding.image_format == "png":
        return _encode(".png", image, [])
    return _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, encoding.quality])


def encode_mask(mask: Pixels) -> bytes:
    """Encode a mask, uint8 `(height, width)`, as PNG."""
    return _encode(".png", mask, [])


def _encode(suffix: str, pixels: np.ndarray, parameters: list[int]) -> bytes:
    try:
        done, encoded = cv2.imencode(suffix, pixels, parameters)
    except cv2.error as error:
        raise UnreadableImageError(f"cannot be encoded as {suffix}: {error.err}") from None
    if not done:
        height, width = pixels.shape[:2]
        raise UnreadableImageError(f"{height}x{width} pixels cannot be encoded as {suffix}")
    return encoded.tobytes()
