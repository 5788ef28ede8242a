"""The EXIF orientation of encoded photographs, read and applied in the graph.

Cameras store the sensor's rows and state in the metadata how to turn them. Stock ops only.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

UPRIGHT = 1
_TRANSPOSED = 5  # This value of the tag and those above it swap rows and columns.
_MIRRORED_COLUMNS, _MIRRORED_ROWS = (2, 3, 6, 7), (3, 4, 7, 8)
# A file with more segments before its pixels is no photograph, and walking them costs time.
_MOST_SEGMENTS = 200
_LONGEST_EXIF = 1 << 16
_EXIF = b"Exif\0\0"
# RE2 knows no bytes above 127 by value; `\C` is any byte.
_PNG_EXIF = r"eXIf(II\*\x00|MM\x00\*)\C*"
_TAG = 0x0112
_ENTRY_BYTES = 12


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn and mirror an image as its EXIF orientation says.

    Args:
        image: `(height, width, channels)`.
        orientation: int32 scalar, 1 to 8; 1 keeps the image.

    Returns:
        The image upright, same dtype; height and width change places from 5 on.
    """
    channels = image.shape[-1]

    def when(
        values: tuple[int, ...], change: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor
    ) -> tf.Tensor:
        matches = tf.reduce_any(tf.equal(orientation, values))
        return tf.cond(matches, lambda: change(image), lambda: image)

    image = when((5, 6, 7, 8), lambda pixels: tf.transpose(pixels, [1, 0, 2]), image)
    image = when(_MIRRORED_COLUMNS, lambda pixels: tf.reverse(pixels, [1]), image)
    image = when(_MIRRORED_ROWS, lambda pixels: tf.reverse(pixels, [0]), image)
    return tf.ensure_shape(image, [None, None, channels])


def upright_shape(shape: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Height and width of an image turned upright, int32 `(2,)`, from those before."""
    return tf.where(orientation >= _TRANSPOSED, tf.reverse(shape, [0]), shape)


def read_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Read the EXIF orientation of a JPEG or PNG file.

    Args:
        encoded: string scalar.

    Returns:
        int32 scalar, 1 to 8; 1 where the file states none, or no valid one.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG's segments are broken, or more than 200 precede its
            pixels.
    """
    exif = tf.cond(tf.io.is_jpeg(encoded), lambda: _jpeg_exif(encoded), lambda: _png_exif(encoded))
    long_enough = tf.strings.length(exif) >= 8 + 2 + _ENTRY_BYTES
    return tf.cond(long_enough, lambda: _orientation(exif), lambda: tf.constant(UPRIGHT))


def read_bytes(encoded: tf.Tensor, start: tf.Tensor, length: int) -> tf.Tensor:
    """Bytes of a string as int32 `(length,)`, 0 beyond its end."""
    # The start of a substring may not lie beyond the end.
    start = tf.minimum(start, tf.strings.length(encoded))
    found = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, start, length), tf.uint8), tf.int32)
    return tf.ensure_shape(tf.pad(found, [[0, length - tf.size(found)]]), [length])


def number(values: tf.Tensor, *, big_endian: bool | tf.Tensor) -> tf.Tensor:
    """An unsigned number of up to 4 bytes, int64, from int32 `(..., bytes)`."""
    values = tf.cast(values, tf.int64)
    rising = [256**place for place in range(values.shape[-1])]
    falling = rising[::-1]
    weights = tf.where(big_endian, tf.constant(falling, tf.int64), tf.constant(rising, tf.int64))
    return tf.reduce_sum(values * weights, -1)


def _jpeg_exif(encoded: tf.Tensor) -> tf.Tensor:
    """The first EXIF segment's content, empty where none precedes the pixels."""
    own_exif = tf.constant(list(_EXIF))

    def is_exif(header: tf.Tensor) -> tf.Tensor:
        return (header[1] == 0xE1) & tf.reduce_all(header[4:10] == own_exif)

    def goes_on(position: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        header = read_bytes(encoded, position, 10)
        # Start of the pixels, or end of the image.
        at_pixels = (header[1] == 0xDA) | (header[1] == 0xD9)
        return (header[0] == 0xFF) & ~at_pixels & ~is_exif(header) & (steps <= _MOST_SEGMENTS)

    def step(position: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        header = read_bytes(encoded, position, 10)
        alone = ((header[1] >= 0xD0) & (header[1] <= 0xD8)) | (header[1] == 0x01)
        length = tf.where(alone, 2, 2 + 256 * header[2] + header[3])
        # Fill bytes may precede a marker.
        return position + tf.where(header[1] == 0xFF, 1, length), steps + 1

    position, steps = tf.while_loop(goes_on, step, (tf.constant(2), tf.constant(0)))
    header = read_bytes(encoded, position, 10)
    whole = tf.debugging.Assert((header[0] == 0xFF) & (steps <= _MOST_SEGMENTS), [position])
    with tf.control_dependencies([whole]):
        start = tf.minimum(position + 10, tf.strings.length(encoded))
        content = tf.strings.substr(encoded, start, 256 * header[2] + header[3] - 8)
    return tf.cond(is_exif(header), lambda: content, lambda: tf.constant(""))


def _png_exif(encoded: tf.Tensor) -> tf.Tensor:
    """The content of an eXIf chunk, empty where there is none."""
    size = tf.strings.length(encoded)
    before = tf.strings.regex_replace(encoded, _PNG_EXIF, "", replace_global=False)
    start = tf.minimum(tf.strings.length(before) + 4, size)
    return tf.strings.substr(encoded, start, _LONGEST_EXIF)


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """The orientation tag in the first directory of EXIF data of at least 22 bytes."""
    content = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int32)
    size = tf.size(content, tf.int64)
    big_endian = content[0] == ord("M")

    def number_at(start: int | tf.Tensor, length: int) -> tf.Tensor:
        found = tf.ensure_shape(content[start : start + length], [length])
        return number(found, big_endian=big_endian)

    directory = tf.minimum(number_at(4, 4), size - 2)
    claimed = number_at(directory, 2)
    rows = tf.minimum(claimed, (size - directory - 2) // _ENTRY_BYTES)
    end = directory + 2 + rows * _ENTRY_BYTES
    entries = tf.reshape(content[directory + 2 : end], [-1, _ENTRY_BYTES])
    tags = number(entries[:, :2], big_endian=big_endian)
    values = number(entries[:, 8:10], big_endian=big_endian)
    found = tf.boolean_mask(values, tags == _TAG)
    # The first one counts; a value outside 1 to 8 means nothing.
    value = tf.concat([found, [UPRIGHT]], 0)[0]
    valid = (value >= 1) & (value <= 8)
    return tf.cast(tf.where(valid, value, UPRIGHT), tf.int32)
