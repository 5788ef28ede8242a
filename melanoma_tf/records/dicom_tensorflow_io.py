"""Decoding of DICOM by TensorFlow I/O: the only module that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_io as tfio

from melanoma_tf.records.header import UnreadableImageError


def read_tags(encoded: bytes, tags: Sequence[int]) -> dict[int, str]:
    """Return the values of some elements as text; an element that is absent gives ""."""
    return {tag: _tag(encoded, tag) for tag in tags}


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
    try:
        # Without "strict", other bytes give an empty tensor and no error. "auto" scales 10 or 12
        # stored bits to the type's whole range.
        decoded: Any = tfio.image.decode_dicom_image(
            encoded,
            color_dim=True,
            dtype=tf.uint16 if wide else tf.uint8,
            on_error="strict",
            scale="auto",
        ).numpy()
    except tf.errors.OpError:
        raise UnreadableImageError("the decoder refuses it") from None
    if len(decoded) != 1:
        raise UnreadableImageError(f"{len(decoded)} frames were decoded")
    return decoded[0]


def _tag(encoded: bytes, tag: int) -> str:
    value: Any = tfio.image.decode_dicom_data(encoded, tf.constant(tag, tf.uint32)).numpy()
    return value.decode("ascii", "replace").strip("\0 ")
