"""Format and size that the header of an encoded image claims, read before decoding.

Decoders allocate what a header claims, and some fill the rest of a truncated file with grey. Both
are detected here by walking the file's structure. Kept by hand, since Pillow's `open` and `verify`
accept truncated JPEG and BMP files, and its pixel limit applies to the whole process.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images.limits import LARGEST_ASPECT, LEAST_SIDE_PX

DEFAULT_MAX_MEGAPIXELS = 200.0


class UnreadableImageError(MelanomaError):
    """An image that cannot be decoded correctly; the message is the reason without the name."""


@dataclass(frozen=True)
class Header:
    """Format (`jpeg`, `png`, `bmp`, `tiff` or `webp`) and size in pixels of an encoded image."""

    image_format: str
    height: int
    width: int


def read_header(encoded: bytes) -> Header:
    """Read the header of a JPEG, PNG, BMP, TIFF or WebP file, and check that the file is complete.

    Raises:
        UnreadableImageError: the bytes have another format, end too early, or are of a kind
            that would not be decoded correctly.
    """
    if not encoded:
        raise UnreadableImageError("the file is empty")
    for magic, image_format, read in _FORMATS:
        if encoded.startswith(magic):
            try:
                height, width = read(encoded)
            except (struct.error, IndexError, OverflowError):
                raise _truncated(image_format) from None
            if height < 1 or width < 1:
                raise UnreadableImageError(f"claims a size of {width}x{height} pixels")
            return Header(image_format, height, width)
    raise UnreadableImageError(
        "expected a JPEG, PNG, BMP, TIFF, WebP or DICOM file; found other bytes"
    )


def check_size(height: int, width: int, max_megapixels: float) -> None:
    """Refuse a size above the limit.

    Raises:
        UnreadableImageError: `height * width` is more than `max_megapixels` million pixels.
    """
    if height * width > max_megapixels * 1e6:
        raise UnreadableImageError(
            f"claims {width}x{height} = {height * width / 1e6:,.1f} megapixels; expected at most "
            f"{max_megapixels:g} (build-records and export: --max-megapixels)"
        )


def check_shape(height: int, width: int) -> None:
    """Refuse what is no photograph: a strip, which would grow without bound when scaled.

    Raises:
        UnreadableImageError: a side is shorter than 8 pixels, or less than a 20th of the other.
    """
    short, long = sorted((height, width))
    if short < LEAST_SIDE_PX or long > LARGEST_ASPECT * short:
        raise UnreadableImageError(
            f"expected a photograph, of at least {LEAST_SIDE_PX} pixels a side and with no side "
            f"more than {LARGEST_ASPECT} times the other; found {width}x{height}"
        )


def _truncated(image_format: str) -> UnreadableImageError:
    return UnreadableImageError(f"truncated: the {image_format.upper()} data end too early")


# Start of frame: C4, C8 and CC look alike but are tables and an extension.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
# In entropy-coded data FF is followed by 00, or by a restart marker.
_JPEG_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def _read_jpeg(encoded: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    position = 2
    while True:
        if encoded[position] != 0xFF:
            raise UnreadableImageError("broken JPEG: no marker where one is due")
        marker = encoded[position + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            position += 1
        elif marker == 0xD9:
            break
        elif marker in _JPEG_STANDALONE:
            position += 2
        else:
            (length,) = struct.unpack_from(">H", encoded, position + 2)
            if marker in JPEG_FRAMES:
                precision, *size_found = struct.unpack_from(">BHH", encoded, position + 4)
                size = (size_found[0], size_found[1])
                if precision != 8:
                    raise UnreadableImageError(f"JPEG of {precision} bits, expected 8")
            position += 2 + length
            if marker == 0xDA:
                found = _JPEG_NEXT_MARKER.search(encoded, position)
                if found is None:
                    raise _truncated("jpeg")
                position = found.start()
    if size is None:
        raise UnreadableImageError("broken JPEG: it holds no frame")
    return size


def png_chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and length of each chunk, up to the end chunk; verify the checksums."""
    position = 8
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", encoded, position)
        (checksum,) = struct.unpack_from(">I", encoded, position + 8 + length)
        covered = memoryview(encoded)[position + 4 : position + 8 + length]
        if zlib.crc32(covered) != checksum:
            raise UnreadableImageError(f"broken PNG: wrong checksum in its {kind!r} chunk")
        yield kind, position + 8, length
        position += 12 + length


def _read_png(encoded: bytes) -> tuple[int, int]:
    chunks = list(png_chunks(encoded))
    kind, start, _ = chunks[0]
    if kind != b"IHDR":
        raise UnreadableImageError("broken PNG: it does not begin with its header")
    width, height = struct.unpack_from(">II", encoded, start)
    return height, width


def _read_bmp(encoded: bytes) -> tuple[int, int]:
    pixels_at, header_size = struct.unpack_from("<II", encoded, 10)
    if header_size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", encoded, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", encoded, 18)
    # A negative height means that the rows run from top to bottom.
    height = abs(height)
    row_bytes = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and len(encoded) < pixels_at + row_bytes * height:
        raise _truncated("bmp")
    return height, width


TIFF_SAMPLES = 277  # tag of the samples per pixel
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_COLOUR, _TIFF_SAMPLE = 256, 257, 258, 262, 339
_TIFF_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}


def _read_tiff(encoded: bytes) -> tuple[int, int]:
    tags = tiff_tags(encoded)
    if not {_TIFF_WIDTH, _TIFF_HEIGHT} <= {tag for tag, value in tags.items() if value}:
        raise UnreadableImageError("broken TIFF: it does not state its size")
    bits = set(tags.get(_TIFF_BITS, (1,)))
    colour = tags.get(_TIFF_COLOUR, (-1,))[0]
    sample = set(tags.get(_TIFF_SAMPLE, (1,)))
    if colour not in _TIFF_COLOURS:
        raise UnreadableImageError(f"TIFF of colour space {colour}; expected grey, RGB or CMYK")
    if sample != {1}:
        raise UnreadableImageError("TIFF of signed or floating-point pixels; expected unsigned")
    if bits not in ({1}, {4}, {8}, {16}) or (bits == {16} and colour not in (1, 2)):
        found = "/".join(map(str, sorted(bits)))
        raise UnreadableImageError(f"TIFF of {found} bits in {_TIFF_COLOURS[colour]}")
    return tags[_TIFF_HEIGHT][0], tags[_TIFF_WIDTH][0]


def tiff_tags(encoded: bytes) -> dict[int, tuple[int, ...]]:
    """Read the integer tags of the first image, in classic TIFF and BigTIFF."""
    order = "<" if encoded[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", encoded, 2)[0] == 43
    word, inline_bytes, entry_bytes = ("Q", 8, 20) if big else ("I", 4, 12)
    (directory,) = struct.unpack_from(order + word, encoded, 8 if big else 4)
    count_format = order + ("Q" if big else "H")
    (count,) = struct.unpack_from(count_format, encoded, directory)
    first = directory + struct.calcsize(count_format)
    tags = {}
    for index in range(min(count, 4096)):
        entry = first + index * entry_bytes
        tag, kind, number = struct.unpack_from(order + "HH" + word, encoded, entry)
        if kind not in _TIFF_TYPES or number > 16:
            continue
        layout = order + str(number) + _TIFF_TYPES[kind]
        value_at = entry + entry_bytes - inline_bytes
        if struct.calcsize(layout) > inline_bytes:
            (value_at,) = struct.unpack_from(order + word, encoded, value_at)
        tags[tag] = struct.unpack_from(layout, encoded, value_at)
    return tags


def webp_chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and length of each chunk of a WebP file.

    Raises:
        UnreadableImageError: the file is truncated, or another kind of RIFF file.
    """
    (size,) = struct.unpack_from("<I", encoded, 4)
    if encoded[8:12] != b"WEBP":
        raise UnreadableImageError("expected an image; found another kind of RIFF file")
    if len(encoded) < 8 + size:
        raise _truncated("webp")
    position = 12
    while position + 8 <= 8 + size:
        kind, length = struct.unpack_from("<4sI", encoded, position)
        yield kind, position + 8, length
        position += 8 + length + length % 2


def _read_webp(encoded: bytes) -> tuple[int, int]:
    kind, start, _ = next(webp_chunks(encoded), (b"", 0, 0))
    if kind == b"VP8X":
        width, height = (
            int.from_bytes(encoded[start + at : start + at + 3], "little") + 1 for at in (4, 7)
        )
        return height, width
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", encoded, start + 1)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind != b"VP8 ":
        raise UnreadableImageError("broken WebP: it holds no image")
    width, height = struct.unpack_from("<HH", encoded, start + 6)
    return height & 0x3FFF, width & 0x3FFF


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int]]], ...] = (
    (b"\xff\xd8\xff", "jpeg", _read_jpeg),
    (b"\x89PNG\r\n\x1a\n", "png", _read_png),
    (b"BM", "bmp", _read_bmp),
    (b"RIFF", "webp", _read_webp),
    (b"II*\0", "tiff", _read_tiff),
    (b"MM\0*", "tiff", _read_tiff),
    (b"II+\0", "tiff", _read_tiff),
    (b"MM\0+", "tiff", _read_tiff),
)
