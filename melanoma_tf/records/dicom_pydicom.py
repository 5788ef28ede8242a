"""Decoding of DICOM by pydicom, where TensorFlow I/O does not load.

The pixels are those of `dicom_tensorflow_io`, rounding included; neither applies a window.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGBaseline8Bit, JPEGExtended12Bit

from melanoma_tf.records.header import UnreadableImageError, read_header

_GREY = ("MONOCHROME1", "MONOCHROME2")
_LUMA_CHROMA = ("YBR_FULL", "YBR_FULL_422")
_COLOURS = (*_GREY, *_LUMA_CHROMA, "RGB", "YBR_ICT", "YBR_RCT")


def read_tags(encoded: bytes, tags: Sequence[int]) -> dict[int, str]:
    """Return the values of some elements as text; an element that is absent gives ""."""
    dataset = _read(encoded, stop_before_pixels=True)
    groups = (dataset, getattr(dataset, "file_meta", ()))
    return {
        tag: next((str(group[tag].value) for group in groups if tag in group), "") for tag in tags
    }


def decode_frame(encoded: bytes, wide: bool) -> np.ndarray:
    """Decode the one frame of a file that is known to be whole.

    Args:
        encoded: the file's content.
        wide: whether it has more than 8 bits per sample.

    Returns:
        uint8, or uint16 if wide, `(height, width, 1 or 3)`: grey or RGB over the type's range.

    Raises:
        UnreadableImageError: the frame cannot be decoded; the message is the reason.
    """
    dataset = _read(encoded)
    colour = dataset.get("PhotometricInterpretation", "")
    if colour not in _COLOURS:
        raise UnreadableImageError(f"expected the colours {', '.join(_COLOURS)}")
    if colour in _GREY and (
        dataset.get("RescaleSlope", 1) != 1 or dataset.get("RescaleIntercept", 0) != 0
    ):
        raise UnreadableImageError("its grey values are rescaled to physical units")
    pixels = _pixels(dataset, colour)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return _full_range(pixels, dataset, colour, wide)


def _read(encoded: bytes, **options: Any) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of elements that deviate from the standard.
            return pydicom.dcmread(io.BytesIO(encoded), **options)
    except Exception as error:  # pydicom lets parsing errors of many kinds through.
        raise UnreadableImageError(f"broken DICOM file: {_one_line(error)}") from error


def _pixels(dataset: pydicom.Dataset, colour: str) -> np.ndarray:
    """Decode the stored values; colours are RGB."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and colour in _LUMA_CHROMA:
            return _decode_jpeg(get_frame(dataset.PixelData, 0, number_of_frames=1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if colour in _LUMA_CHROMA and syntax not in JPEG2000TransferSyntaxes:
                return _to_rgb(pixel_array(dataset, raw=True))
            return pixel_array(dataset)
    except UnreadableImageError:
        raise
    except Exception as error:  # Each decoder that pydicom calls has exceptions of its own.
        raise UnreadableImageError(_one_line(error)) from error


def _decode_jpeg(encoded: bytes) -> np.ndarray:
    """Decode as a JPEG file is, so that both give the same pixels."""
    read_header(encoded)  # Refuses truncated data, which OpenCV fills with grey.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    if decoded is None:
        raise UnreadableImageError("broken JPEG")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Convert 8-bit YCbCr of the full range with the integer tables of DCMTK's `dcmimage`."""
    if pixels.dtype != np.uint8:
        raise UnreadableImageError("YCbCr of more than 8 bits")
    luma, blue, red = np.moveaxis(pixels.astype(np.int32), -1, 0)

    def truncated(values: np.ndarray) -> np.ndarray:
        return np.trunc(values).astype(np.int32)

    channels = (
        luma + truncated(1.4020 * red - 0.7010 * 255),
        luma - truncated(0.3441 * blue) - truncated(0.7141 * red - 0.5291 * 255),
        luma + truncated(1.7720 * blue - 0.8859 * 255),
    )
    return np.stack(channels, -1).clip(0, 255).astype(np.uint8)


def _full_range(
    pixels: np.ndarray, dataset: pydicom.Dataset, colour: str, wide: bool
) -> np.ndarray:
    """Return stored values as unsigned ones over the whole range of 8 or 16 bits."""
    stored = int(dataset.BitsStored)
    values = pixels.astype(np.int64)
    if dataset.PixelRepresentation:
        values += 1 << (stored - 1)
    if colour == "MONOCHROME1":  # White is 0. The darker half comes out one level lighter.
        values = (1 << stored) - 1 - values + (values >> (stored - 1))
    dtype, bits = (np.uint16, 16) if wide else (np.uint8, 8)
    if values.min() < 0 or values.max() >> stored:
        raise UnreadableImageError(f"values beyond its {stored} stored bits")
    return (values << (bits - stored)).astype(dtype)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
