"""Decoding of DICOM files, by TensorFlow I/O or, where that does not load, by pydicom."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import ModuleType

import numpy as np

from melanoma_tf.core.stack import is_usable
from melanoma_tf.records.header import UnreadableImageError, check_size

decoder: ModuleType
if is_usable("tensorflow_io"):
    from melanoma_tf.records import dicom_tensorflow_io as decoder
else:
    from melanoma_tf.records import dicom_pydicom as decoder

_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_SAMPLES, _BITS_ALLOCATED, _COLOUR = 0x00280002, 0x00280100, 0x00280004
_TRANSFER_SYNTAX = 0x00020010
_TAGS = (_ROWS, _COLUMNS, _FRAMES, _SAMPLES, _BITS_ALLOCATED, _COLOUR, _TRANSFER_SYNTAX)
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_DEFLATED, _EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
_PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
_ITEM_TAG, _DELIMITER_TAG = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED_LENGTH = 0xFFFFFFFF


def decode_dicom(encoded: bytes, max_megapixels: float) -> np.ndarray:
    """Decode the one frame of a DICOM file.

    Args:
        encoded: the file's content.
        max_megapixels: images that claim more are refused before decoding.

    Returns:
        uint8 or uint16 `(height, width, 1 or 3)`, over the whole range of the type.

    Raises:
        UnreadableImageError: the file is broken, truncated, too large, has several frames or an
            unknown encoding.
    """
    tags = decoder.read_tags(encoded, _TAGS)
    height, width = _number(tags, _ROWS), _number(tags, _COLUMNS)
    if height < 1 or width < 1:
        raise UnreadableImageError("DICOM file without an image")
    check_size(height, width, max_megapixels)
    frames = _number(tags, _FRAMES, default=1)
    if frames != 1:
        raise UnreadableImageError(f"DICOM file of {frames} frames; expected one image")
    _check_whole(encoded, tags, height * width)
    try:
        decoded = decoder.decode_frame(encoded, wide=_number(tags, _BITS_ALLOCATED) > 8)
    except UnreadableImageError as reason:
        colour = tags[_COLOUR] or "unknown colours"
        raise UnreadableImageError(f"cannot be decoded: DICOM of {colour}: {reason}") from None
    if decoded.shape[:2] != (height, width) or decoded.shape[2] not in (1, 3):
        raise UnreadableImageError(f"DICOM image of shape {decoded.shape}")
    return decoded


def _check_whole(encoded: bytes, tags: Mapping[int, str], pixels: int) -> None:
    """Refuse truncated pixels, which decoders fill up."""
    syntax = tags[_TRANSFER_SYNTAX]
    # Truncated, the first does not inflate; the other has long been retired.
    if syntax in (_DEFLATED, _EXPLICIT_BIG_ENDIAN):
        return
    # In explicit files the value representation (two letters) and two reserved bytes come first.
    layout = "<I" if syntax == _IMPLICIT_LITTLE_ENDIAN else "<4xI"
    compressed = syntax not in (_IMPLICIT_LITTLE_ENDIAN, _EXPLICIT_LITTLE_ENDIAN)
    expected = pixels * _number(tags, _SAMPLES) * _number(tags, _BITS_ALLOCATED) // 8
    position = encoded.find(_PIXEL_DATA_TAG)
    while position >= 0:
        try:
            (length,) = struct.unpack_from(layout, encoded, position + 4)
        except struct.error:
            break
        start = position + 4 + struct.calcsize(layout)
        # The tag's bytes may occur elsewhere too; followed by the right length it is the tag.
        if compressed:
            if length == _UNDEFINED_LENGTH and _holds_whole_fragments(encoded, start):
                return
        elif expected <= length <= expected + 1 and start + length <= len(encoded):
            return
        position = encoded.find(_PIXEL_DATA_TAG, position + 1)
    raise UnreadableImageError("truncated: the DICOM pixel data end too early")


def _holds_whole_fragments(encoded: bytes, position: int) -> bool:
    """Tell whether whole fragments of compressed pixels start here and reach their delimiter."""
    while encoded[position : position + 4] == _ITEM_TAG and position + 8 <= len(encoded):
        (length,) = struct.unpack_from("<I", encoded, position + 4)
        position += 8 + length
    return encoded[position : position + 4] == _DELIMITER_TAG


def _number(tags: Mapping[int, str], tag: int, default: int = 0) -> int:
    return int(tags[tag]) if tags[tag].isdigit() else default
