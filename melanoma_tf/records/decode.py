"""Decoding of image files to uint8 arrays; the EXIF orientation is applied, metadata is dropped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.native_output import quiet_native_stderr
from melanoma_tf.datasets.image_files import HDF5_SUFFIXES
from melanoma_tf.records.exif import is_portable, orientation_of, upright
from melanoma_tf.records.header import (
    DEFAULT_MAX_MEGAPIXELS,
    TIFF_SAMPLES,
    Header,
    UnreadableImageError,
    check_shape,
    check_size,
    read_header,
    tiff_tags,
)
from melanoma_tf.records.mask_values import Mask, read_values

Pixels = npt.NDArray[np.uint8]

_DICOM = b"DICM"
# An array of an HDF5 file may claim more than the file has, and takes as much memory.
_MOST_HDF5_BYTES = 2**28
# libjpeg averages blocks of pixels while it decodes. Its scales of a fourth and an eighth are
# coarse, and are used only where as much again is averaged afterwards: so the pixels stay within a
# grey level, on average, of those of area averaging (`scripts/benchmarks/build_records.py`).
_REDUCED = (
    (8, 2, cv2.IMREAD_REDUCED_COLOR_8),
    (4, 2, cv2.IMREAD_REDUCED_COLOR_4),
    (2, 1, cv2.IMREAD_REDUCED_COLOR_2),
)


def read_image(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode an image file.

    Args:
        path: JPEG, PNG, BMP, TIFF (first page), WebP or DICOM; grey, palette, colour or CMYK, 8 or
            16 bits per channel; or a data set of an HDF5 file, as `FILE.hdf5/KEY`.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        uint8 RGB `(height, width, 3)`, turned upright by its EXIF orientation, without
        transparency.

    Raises:
        UnreadableImageError: the file is absent, broken, truncated, too large, a strip a few
            pixels wide, or of another kind.
    """
    image = decode_image(_read(Path(path)), max_megapixels)
    check_shape(*image.shape[:2])
    return image


def read_portable(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> bytes:
    """Read an image file as bytes that every decoder understands as `read_image` does.

    Args:
        path: as for `read_image`.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        The file's own bytes, if they are an upright 8-bit JPEG or PNG in grey or RGB; else the
        pixels of `read_image` as PNG.

    Raises:
        UnreadableImageError: as for `read_image`.
    """
    encoded = _read(Path(path))
    if encoded[128:132] != _DICOM:
        header = read_header(encoded)
        check_size(header.height, header.width, max_megapixels)
        check_shape(header.height, header.width)
        if is_portable(encoded):
            return encoded
    image = decode_image(encoded, max_megapixels)
    check_shape(*image.shape[:2])
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def decode_image(encoded: bytes, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode an image in memory, see `read_image`."""
    return cv2.cvtColor(_decode_bgr(encoded, max_megapixels), cv2.COLOR_BGR2RGB)


def read_bgr_at_least(
    path: Path, short_side_px: int, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS
) -> tuple[Pixels, tuple[int, int]]:
    """Decode an image file, a JPEG at a half, a fourth or an eighth where that is large enough.

    In OpenCV's order of colours, for callers that encode the pixels again: to change it twice costs
    as much as to decode a small image.

    Args:
        path: as for `read_image`.
        short_side_px: least short side of the result, if the image is that large.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        uint8 BGR `(height, width, 3)`, upright, and height and width of the whole image.

    Raises:
        UnreadableImageError: as for `read_image`.
    """
    encoded = _read(path)
    header = None
    if encoded.startswith(b"\xff\xd8"):
        header = read_header(encoded)
        check_size(header.height, header.width, max_megapixels)
        check_shape(header.height, header.width)
        for factor, averaged, flag in _REDUCED:
            # Rounding up a side that is no multiple would stretch the image.
            whole = header.height % factor == header.width % factor == 0
            if whole and min(header.height, header.width) >= factor * averaged * short_side_px:
                reduced = _decoded(encoded, flag, header)
                height, width = reduced.shape[:2]
                return reduced, (height * factor, width * factor)
    image = _decode_bgr(encoded, max_megapixels, header)
    height, width = image.shape[:2]
    check_shape(height, width)
    return image, (height, width)


def _decode_bgr(encoded: bytes, max_megapixels: float, header: Header | None = None) -> Pixels:
    if encoded[128:132] == _DICOM:
        # Imported here, since it loads TensorFlow.
        from melanoma_tf.records.dicom import decode_dicom

        with quiet_native_stderr():
            rgb = _to_rgb(_to_uint8(decode_dicom(encoded, max_megapixels)))
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    # ANYDEPTH keeps 16 bits, which are rounded here; the decoder would truncate them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    if encoded.startswith(b"RIFF"):
        # OpenCV turns the other formats itself; WebP from version 5 on only.
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
        decoded = _decode(encoded, flags, max_megapixels, header)
        return _to_uint8(upright(decoded, orientation_of(encoded)))
    return _to_uint8(_decode(encoded, flags, max_megapixels, header))


def read_mask(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Pixels:
    """Decode a mask file, see `read_mask_noted`; what is unusual about it is not told."""
    return read_mask_noted(path, max_megapixels).pixels


def read_mask_noted(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Mask:
    """Decode a mask file of any mode, and tell what is unusual about it.

    Args:
        path: as for `read_image`, except DICOM; grey, palette, colour or with an alpha channel.
        max_megapixels: masks that claim more are refused before decoding.

    Returns:
        uint8 `(height, width)`, 0 or 255, turned upright, with notes; see `mask_values.read_values`
        for the meaning of its values.

    Raises:
        UnreadableImageError: the file is absent, broken, truncated, too large or of another kind,
            or holds something and would come out empty.
    """
    encoded = _read(path)
    decoded = _decode(encoded, cv2.IMREAD_UNCHANGED, max_megapixels)
    if decoded.dtype not in (np.uint8, np.uint16):
        raise UnreadableImageError(f"expected 8 or 16 bits per channel; found {decoded.dtype}")
    if not encoded.startswith((b"II", b"MM")):
        # OpenCV turns a TIFF, but leaves other files as they are if it is to keep all channels.
        decoded = upright(decoded, orientation_of(encoded))
    elif tiff_tags(encoded).get(TIFF_SAMPLES) == (2,):
        raise UnreadableImageError(
            "mask as TIFF in grey with an alpha channel, which the decoder drops; expected another"
        )
    return read_values(decoded)


def decode_stored_mask(encoded: bytes) -> Pixels:
    """Decode a mask of a record, uint8 `(height, width)`, with unchanged values."""
    return _decode(encoded, cv2.IMREAD_GRAYSCALE, DEFAULT_MAX_MEGAPIXELS)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        if path.parent.suffix.lower() in HDF5_SUFFIXES and path.parent.is_file():
            return _read_hdf5(path.parent, path.name)
        raise UnreadableImageError(f"cannot be read: {error.strerror or error}") from None


def _read_hdf5(path: Path, key: str) -> bytes:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = file[key]
            if isinstance(found, h5py.Dataset) and found.nbytes > _MOST_HDF5_BYTES:
                raise UnreadableImageError(
                    f"expected at most {_MOST_HDF5_BYTES:,} bytes under {key} in {path.name}; "
                    f"found {found.nbytes:,}"
                )
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


def _decode(
    encoded: bytes, flags: int, max_megapixels: float, header: Header | None = None
) -> np.ndarray:
    header = header or read_header(encoded)
    check_size(header.height, header.width, max_megapixels)
    return _decoded(encoded, flags, header)


def _decoded(encoded: bytes, flags: int, header: Header) -> np.ndarray:
    try:
        with quiet_native_stderr():
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
