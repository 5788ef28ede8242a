"""Decoding of image files to uint8 arrays; the EXIF orientation is applied, metadata is dropped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.header import (
    DEFAULT_MAX_MEGAPIXELS,
    UnreadableImageError,
    check_size,
    read_header,
)

Pixels = npt.NDArray[np.uint8]

_REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
)


def read_image(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode an image file.

    Args:
        path: JPEG, PNG, BMP, TIFF (first page) or DICOM; grey, colour or CMYK, 8 or 16 bits per
            channel; or a data set of an HDF5 file, as `FILE.hdf5/KEY`.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        uint8 RGB `(height, width, 3)`, turned upright by its EXIF orientation, without
        transparency.

    Raises:
        UnreadableImageError: the file is absent, broken, truncated, too large or of another kind.
    """
    return decode_image(_read(Path(path)), max_megapixels)


def decode_image(encoded: bytes, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode an image in memory, see `read_image`."""
    if encoded[128:132] == b"DICM":
        # Imported here, since it loads TensorFlow.
        from melanoma_tf.records.dicom import decode_dicom

        return _to_rgb(_to_uint8(decode_dicom(encoded, max_megapixels)))
    # ANYDEPTH keeps 16 bits, which are rounded here; the decoder would truncate them.
    decoded = _decode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, max_megapixels)
    return cv2.cvtColor(_to_uint8(decoded), cv2.COLOR_BGR2RGB)


def read_grey_reduced(
    path: Path, short_side_px: int, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
) -> tuple[Pixels, int]:
    """Decode a grey image for a thumbnail; a JPEG at a half, fourth or eighth, which is faster.

    Args:
        path: as for `read_image`.
        short_side_px: least short side of the reduced image, if the image is that large.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        uint8 `(height, width)`, upright, and the number of pixels of the whole image.

    Raises:
        UnreadableImageError: as for `read_image`.
    """
    encoded = _read(Path(path))
    if not encoded.startswith(b"\xff\xd8"):
        grey = cv2.cvtColor(decode_image(encoded, max_megapixels), cv2.COLOR_RGB2GRAY)
        return grey, grey.size
    header = read_header(encoded)
    short_side = min(header.height, header.width)
    flags = [flag for factor, flag in _REDUCED if short_side >= factor * short_side_px]
    grey = _decode(encoded, (flags or [cv2.IMREAD_GRAYSCALE])[0], max_megapixels)
    return grey, header.height * header.width


def read_mask(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode a mask file.

    A pixel above 127 is foreground; in a mask that uses only 0 and 1, a pixel of 1 is.

    Args:
        path: as for `read_image`, except DICOM.
        max_megapixels: masks that claim more are refused before decoding.

    Returns:
        uint8 `(height, width)`, 0 or 255.

    Raises:
        UnreadableImageError: the file is absent, broken, truncated, too large or of another kind.
    """
    encoded = _read(Path(path))
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    decoded = _decode(encoded, flags, max_megapixels)
    # Before the conversion to 8 bits, since a 16-bit mask may use 0 and 1 too.
    if decoded.max() == 1:
        return np.where(decoded == 1, np.uint8(255), np.uint8(0))
    return np.where(_to_uint8(decoded) > 127, np.uint8(255), np.uint8(0))


def decode_stored_mask(encoded: bytes) -> Pixels:
    """Decode a mask of a record, uint8 `(height, width)`, with unchanged values."""
    return _decode(encoded, cv2.IMREAD_GRAYSCALE, DEFAULT_MAX_MEGAPIXELS)


def _read(path: Path) -> bytes:
    if path.parent.suffix.lower() in (".hdf5", ".h5") and path.parent.is_file():
        return _read_hdf5(path.parent, path.name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"cannot be read: {error.strerror or error}") from None


def _read_hdf5(path: Path, key: str) -> bytes:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = file[key]
            value = found[()] if isinstance(found, h5py.Dataset) else None
    except (OSError, KeyError) as error:
        raise UnreadableImageError(f"cannot be read from {path.name}: {error}") from None
    if isinstance(value, bytes):
        return value
    if isinstance(value, np.void) or (isinstance(value, np.ndarray) and value.dtype == np.uint8):
        return value.tobytes()
    raise UnreadableImageError(
        f"expected the content of an image file under {key} in {path.name}; found other data"
    )


def _decode(encoded: bytes, flags: int, max_megapixels: float) -> np.ndarray:
    header = read_header(encoded)
    check_size(header.height, header.width, max_megapixels)
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error as error:
        raise UnreadableImageError(f"cannot be decoded: {error.err}") from None
    if decoded is None:
        raise UnreadableImageError(f"cannot be decoded: broken {header.image_format.upper()} data")
    return decoded


def _to_uint8(decoded: np.ndarray) -> Pixels:
    if decoded.dtype == np.uint8:
        return decoded
    if decoded.dtype == np.uint16:
        # 65535 = 255 * 257: rounding to the nearest, so that 8-bit values times 257 come back.
        return ((decoded.astype(np.uint32) + 128) // 257).astype(np.uint8)
    raise UnreadableImageError(f"expected 8 or 16 bits per channel; found {decoded.dtype}")


def _to_rgb(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
