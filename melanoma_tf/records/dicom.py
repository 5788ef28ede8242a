"""Decoding of DICOM files by tensorflow-io, which no other module imports."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_io as tfio

from melanoma_tf.records.header import UnreadableImageError, check_size

_ROWS, _COLUMNS, _FRAMES = 0x00280010, 0x00280011, 0x00280008
_SAMPLES, _BITS_ALLOCATED, _COLOUR = 0x00280002, 0x00280100, 0x00280004
_TRANSFER_SYNTAX = 0x00020010
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"


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
    height, width = _number(encoded, _ROWS), _number(encoded, _COLUMNS)
    if height < 1 or width < 1:
        raise UnreadableImageError("DICOM file without an image")
    check_size(height, width, max_megapixels)
    frames = _number(encoded, _FRAMES, default=1)
    if frames != 1:
        raise UnreadableImageError(f"DICOM file of {frames} frames; expected one image")
    _check_whole(encoded, height * width)
    wide = _number(encoded, _BITS_ALLOCATED) > 8
    try:
        # Without "strict", other bytes give an empty tensor and no error. "auto" scales 10 or 12
        # stored bits to the type's whole range.
        decoded = tfio.image.decode_dicom_image(
            encoded,
            color_dim=True,
            dtype=tf.uint16 if wide else tf.uint8,
            on_error="strict",
            scale="auto",
        ).numpy()
    except tf.errors.OpError:
        colour = _tag(encoded, _COLOUR) or "unknown colours"
        raise UnreadableImageError(f"cannot be decoded: DICOM of {colour}") from None
    if decoded.shape[:3] != (1, height, width) or decoded.shape[3] not in (1, 3):
        raise UnreadableImageError(f"DICOM image of shape {decoded.shape[1:]}")
    return decoded[0]


def _check_whole(encoded: bytes, pixels: int) -> None:
    """Refuse truncated uncompressed pixels, which the decoder would fill up.

    Truncated compressed pixels do not decode.
    """
    syntax = _tag(encoded, _TRANSFER_SYNTAX)
    layout = {
        _IMPLICIT_LITTLE_ENDIAN: "<I",
        # The value representation (two letters) and two reserved bytes come first.
        _EXPLICIT_LITTLE_ENDIAN: "<4xI",
    }.get(syntax)
    if layout is None:
        return
    expected = pixels * _number(encoded, _SAMPLES) * _number(encoded, _BITS_ALLOCATED) // 8
    position = encoded.find(_PIXEL_DATA_TAG)
    while position >= 0:
        try:
            (length,) = struct.unpack_from(layout, encoded, position + 4)
        except struct.error:
            break
        start = position + 4 + struct.calcsize(layout)
        # The tag's bytes may occur elsewhere too; followed by the right length it is the tag.
        if expected <= length <= expected + 1 and start + length <= len(encoded):
            return
        position = encoded.find(_PIXEL_DATA_TAG, position + 1)
    raise UnreadableImageError("truncated: the DICOM pixel data end too early")


def _number(encoded: bytes, tag: int, default: int = 0) -> int:
    text = _tag(encoded, tag)
    return int(text) if text.isdigit() else default


def _tag(encoded: bytes, tag: int) -> str:
    value: Any = tfio.image.decode_dicom_data(encoded, tf.constant(tag, tf.uint32)).numpy()
    return value.decode("ascii", "replace").strip("\0 ")
