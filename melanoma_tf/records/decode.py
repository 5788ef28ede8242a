"""Image files -> uint8 arrays. Nothing but pixels comes out: EXIF is applied, then dropped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.errors import MelanomaError

Pixels = npt.NDArray[np.uint8]


class UnreadableImageError(MelanomaError):
    """An image file that cannot be decoded right; the message is the reason, without the name."""


def read_image(path: Path) -> Pixels:
    """Decode an image file.

    Args:
        path: JPEG, PNG, BMP or TIFF; grey, colour or CMYK, 8 or 16 bits per channel.

    Returns:
        uint8 RGB `(height, width, 3)`, turned upright as its EXIF orientation says.

    Raises:
        UnreadableImageError: the file is absent, broken or of another kind.
    """
    return decode_image(_read(path))


def decode_image(encoded: bytes) -> Pixels:
    """`read_image` for bytes in memory."""
    # ANYDEPTH keeps 16 bits, so that they are rounded here rather than cut off by the decoder.
    decoded = _decode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def read_mask(path: Path) -> Pixels:
    """Decode a mask file.

    A pixel above 127 is foreground; in a mask that uses only 0 and 1, a pixel of 1 is.

    Returns:
        uint8 `(height, width)`, 0 or 255.

    Raises:
        UnreadableImageError: the file is absent, broken or of another kind.
    """
    return decode_mask(_read(path))


def decode_mask(encoded: bytes) -> Pixels:
    """`read_mask` for bytes in memory."""
    decoded = _decode(encoded, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    threshold = 0 if decoded.max() == 1 else 127
    return np.where(decoded > threshold, np.uint8(255), np.uint8(0))


def decode_stored_mask(encoded: bytes) -> Pixels:
    """Decode a mask of a record, uint8 `(height, width)`, with its values as they are."""
    return _decode(encoded, cv2.IMREAD_GRAYSCALE)


def _read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"cannot be read: {error.strerror or error}") from None


def _decode(encoded: bytes, flags: int) -> Pixels:
    if not encoded:
        raise UnreadableImageError("the file is empty")
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error as error:
        raise UnreadableImageError(f"cannot be decoded: {error.err}") from None
    if decoded is None:
        raise UnreadableImageError("cannot be decoded: broken, or no image format known here")
    return _to_uint8(decoded)


def _to_uint8(decoded: np.ndarray) -> Pixels:
    if decoded.dtype == np.uint8:
        return decoded
    if decoded.dtype == np.uint16:
        # 65535 = 255 * 257: rounding to the nearest, so that 8-bit values times 257 come back.
        return ((decoded.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise UnreadableImageError(f"expected 8 or 16 bits per channel; found {decoded.dtype}")
