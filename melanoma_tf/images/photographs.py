"""Checks of encoded photographs before they are decoded, in the graph.

A server reads what strangers send: a header may claim any size, and a decoder allocates what it
claims. Stock ops only, since exported models carry these checks.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.limits import LARGEST_ASPECT, LEAST_SIDE_PX
from melanoma_tf.images.orientation import number, read_bytes

OK, EMPTY, UNKNOWN_FORMAT, TOO_LARGE, NO_PHOTOGRAPH, UNREADABLE = range(6)

_JPEG, _PNG, _BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"
# Rows of uncompressed blue, green, red; other kinds have a palette or masks that
# TensorFlow's decoder does not apply.
_BMP_BITS = 24


def messages(max_megapixels: float) -> tuple[str, ...]:
    """What each status means, one line for each."""
    return (
        "",
        "the image is empty",
        "expected a JPEG, a PNG, or a BMP of 24 bits; found other bytes",
        f"expected an image of at most {max_megapixels:g} megapixels; it claims more",
        f"expected a photograph, of at least {LEAST_SIDE_PX} pixels a side and with no side more "
        f"than {LARGEST_ASPECT} times the other",
        "the image cannot be decoded: it is damaged or incomplete",
    )


def check_photograph(encoded: tf.Tensor, max_megapixels: float) -> tf.Tensor:
    """Tell from the header whether an image may be decoded.

    Args:
        encoded: string scalar, any bytes.
        max_megapixels: largest number of pixels, in millions.

    Returns:
        The status, int32 scalar, one of the constants of this module.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG whose header is broken: `UNREADABLE`.
    """
    start = read_bytes(encoded, tf.constant(0), 30)

    def begins_with(magic: bytes) -> tf.Tensor:
        return tf.reduce_all(start[: len(magic)] == list(magic))

    def of_header(*, big_endian: bool, at: tuple[int, int], width: int) -> tf.Tensor:
        columns, rows = (number(start[i : i + width], big_endian=big_endian) for i in at)
        return _status_of_size(rows, columns, max_megapixels)

    def of_jpeg() -> tf.Tensor:
        shape = tf.cast(tf.io.extract_jpeg_shape(encoded), tf.int64)
        return _status_of_size(shape[0], shape[1], max_megapixels)

    def of_png() -> tf.Tensor:
        return of_header(big_endian=True, at=(16, 20), width=4)

    def of_bmp() -> tf.Tensor:
        info = number(start[14:18], big_endian=False) >= 40
        plain = (number(start[28:30], big_endian=False) == _BMP_BITS) & (
            tf.reduce_all(read_bytes(encoded, tf.constant(30), 4) == 0)
        )
        # A negative height says that the rows run from top to bottom.
        rows = number(start[22:26], big_endian=False)
        rows = tf.where(rows >= 1 << 31, (1 << 32) - rows, rows)
        columns = number(start[18:22], big_endian=False)
        status = _status_of_size(rows, columns, max_megapixels)
        return tf.where(info & plain, status, UNKNOWN_FORMAT)

    return tf.case(
        [
            (tf.strings.length(encoded) == 0, lambda: tf.constant(EMPTY)),
            (begins_with(_JPEG), of_jpeg),
            (begins_with(_PNG), of_png),
            (begins_with(_BMP), of_bmp),
        ],
        default=lambda: tf.constant(UNKNOWN_FORMAT),
        exclusive=False,
    )


def check_shape(shape: tf.Tensor, max_megapixels: float) -> tf.Tensor:
    """The status of an image that is decoded already, by its height and width, int `(2,)`."""
    shape = tf.cast(shape, tf.int64)
    return _status_of_size(shape[0], shape[1], max_megapixels)


def _status_of_size(rows: tf.Tensor, columns: tf.Tensor, max_megapixels: float) -> tf.Tensor:
    least, most = tf.minimum(rows, columns), tf.maximum(rows, columns)
    # Divided, since a product of two claims may overflow.
    large = most > tf.cast(max_megapixels * 1e6, tf.int64) // tf.maximum(least, 1)
    is_strip = (least < LEAST_SIDE_PX) | (most > LARGEST_ASPECT * least)
    status = tf.where(is_strip, NO_PHOTOGRAPH, OK)
    status = tf.where(large, TOO_LARGE, status)
    return tf.where(least < 1, UNREADABLE, status)
