"""What decoders disagree about: the EXIF orientation, and kinds of colour."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from melanoma_tf.records.header import JPEG_FRAMES, png_chunks, tiff_tags, webp_chunks

_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_PNG_GREY_OR_RGB = (0, 2)
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"cHRM"})
# Application segments but those of JFIF (0) and Adobe (14), and comments.
_JPEG_TELLS = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})


def orientation_of(encoded: bytes) -> int:
    """Read the EXIF orientation of a JPEG, PNG or WebP file, 1 to 8; 1 where there is none.

    https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf, section 4.6.4
    """
    block = _exif_block(encoded).removeprefix(_EXIF)
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        value = tiff_tags(block).get(_ORIENTATION, ())
    except (struct.error, IndexError, OverflowError):
        return 1  # a damaged block says nothing; the pixels are whole
    return value[0] if len(value) == 1 and 1 <= value[0] <= 8 else 1


def is_portable(encoded: bytes) -> bool:
    """Tell whether every decoder gives a file the same pixels.

    So it is with JPEG and PNG in 8 bits, in grey or RGB, without an EXIF orientation. Palettes, 16
    bits, CMYK and transparency are understood differently, and the other formats not everywhere.
    """
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        depth, colour = encoded[24:26]
        plain = depth == 8 and colour in _PNG_GREY_OR_RGB
        plain = plain and all(kind != b"tRNS" for kind, _, _ in png_chunks(encoded))
    else:
        plain = encoded.startswith(b"\xff\xd8") and _jpeg_channels(encoded) in (1, 3)
    return plain and orientation_of(encoded) == 1


def has_metadata(encoded: bytes) -> bool:
    """Tell whether a file may say more than its pixels: EXIF, comments, profiles, a thumbnail.

    So may every file but a JPEG of nothing but image data (and its JFIF and Adobe headers), and a
    PNG of nothing but such chunks.
    """
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        chunks = list(png_chunks(encoded))
        end = chunks[-1][1] + 4  # Behind the end chunk's checksum.
        return end != len(encoded) or any(kind not in _PNG_PIXELS for kind, _, _ in chunks)
    if not encoded.startswith(b"\xff\xd8") or not encoded.endswith(b"\xff\xd9"):
        return True
    told = any(marker in _JPEG_TELLS for marker, _ in _jpeg_segments(encoded))
    return told or encoded.find(b"\xff\xd8\xff", 2) >= 0


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image `(height, width, ...)` as an EXIF orientation says, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _exif_block(encoded: bytes) -> bytes:
    if encoded.startswith(b"\xff\xd8"):
        return _jpeg_exif(encoded)
    if encoded.startswith(b"\x89PNG"):
        chunks = png_chunks(encoded)
    elif encoded.startswith(b"RIFF"):
        chunks = webp_chunks(encoded)
    else:
        return b""
    found = (encoded[at : at + size] for kind, at, size in chunks if kind in (b"eXIf", b"EXIF"))
    return next(found, b"")


def _jpeg_exif(encoded: bytes) -> bytes:
    segments = _jpeg_segments(encoded)
    return next((content for _, content in segments if content.startswith(_EXIF)), b"")


def _jpeg_channels(encoded: bytes) -> int:
    frames = (content for marker, content in _jpeg_segments(encoded) if marker in JPEG_FRAMES)
    frame = next(frames, b"")
    return frame[5] if len(frame) > 5 else 0


def _jpeg_segments(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments before the pixels."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            position += 1
            continue
        if marker == 0xDA:
            return
        (length,) = struct.unpack_from(">H", encoded, position + 2)
        yield marker, encoded[position + 4 : position + 2 + length]
        position += 2 + length
