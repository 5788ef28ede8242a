"""Small grey thumbnails of images, which the search for duplicates compares."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Union

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.decode import Pixels

Thumbnail = npt.NDArray[np.uint8]

# 4 KiB per image. Larger ones did not tell real images apart better.
THUMBNAIL_SIZE_PX = 64
_BYTES = THUMBNAIL_SIZE_PX**2
# The thumbnail of an image without structure, which resembles no other.
BLANK = bytes(_BYTES)
# A smaller difference in grey levels between the darkest and the brightest part is noise.
_LEAST_CONTRAST = 4.0


class ThumbnailFile:
    """Thumbnails in a file, so that memory does not grow with the number of images.

    Indexed like an array `(count, 64, 64)`, by a number or by a slice without a step.

    Args:
        path: the file, which is continued; by default a temporary one.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            # The system deletes it when it is closed, at the end of this object's life.
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        else:
            path.touch()
            self._file = path.open("r+b")
        weakref.finalize(self, self._file.close)
        self._count = self._file.seek(0, os.SEEK_END) // _BYTES
        # The thumbnail at whose start the file stands, where that is known.
        self._next: int | None = None

    def append(self, thumbnail: Thumbnail) -> None:
        """Add a thumbnail at the end."""
        self.put(self._count, thumbnail.tobytes())

    def put(self, index: int, content: bytes) -> None:
        """Write the bytes of a thumbnail at a place."""
        if index != self._next:  # A seek writes out what is buffered.
            self._file.seek(index * _BYTES)
        self._file.write(content)
        self._next = index + 1
        self._count = max(self._count, index + 1)

    def get(self, index: int) -> bytes:
        """Read the bytes at a place; fewer, or none, beyond the end of the file."""
        self._next = None
        self._file.seek(index * _BYTES)
        return self._file.read(_BYTES)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, which: int | slice) -> npt.NDArray[np.uint8]:
        part = which if isinstance(which, slice) else slice(which, which + 1)
        start, stop, _ = part.indices(self._count)
        size = THUMBNAIL_SIZE_PX
        self._next = None
        self._file.seek(start * _BYTES)
        content = self._file.read(max(stop - start, 0) * _BYTES)
        found = np.frombuffer(content, np.uint8).reshape(-1, size, size)
        return found if isinstance(which, slice) else found[0]


class Selection:
    """Some of the thumbnails of a file or an array, indexed like an array of their own."""

    def __init__(self, thumbnails: Thumbnails, indices: Sequence[int]) -> None:
        self._thumbnails = thumbnails
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, which: int | slice) -> npt.NDArray[np.uint8]:
        if not isinstance(which, slice):
            return self._thumbnails[self._indices[which]]
        return np.stack([self._thumbnails[index] for index in self._indices[which]])


# A few thumbnails may also be an array `(count, 64, 64)`.
Thumbnails = Union[ThumbnailFile, Selection, npt.NDArray[np.uint8]]


def thumbnail_of(image: Pixels) -> Thumbnail | None:
    """Make the thumbnail of a BGR image, uint8 `(height, width, 3)`; see `make_thumbnail`."""
    return make_thumbnail(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def make_thumbnail(grey: npt.NDArray[np.uint8]) -> Thumbnail | None:
    """Make a thumbnail that is independent of size, aspect ratio, brightness and contrast.

    Args:
        grey: uint8 `(height, width)`.

    Returns:
        uint8 `(64, 64)`, or None if the image is nearly uniform.
    """
    size = (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    # INTER_AREA suits downscaling, but not enlarging.
    shrinks = min(grey.shape) >= THUMBNAIL_SIZE_PX
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # Float before the contrast is stretched, so that a pale image keeps its grey levels.
    small = cv2.resize(grey.astype(np.float32), size, interpolation=interpolation)
    dark, bright = _percentiles(small)
    if bright - dark < _LEAST_CONTRAST:
        return None
    gain = 224 / (bright - dark)
    # Rounds, and clips to 0 and 255.
    return cv2.addWeighted(small, gain, small, 0, 16 - dark * gain, dtype=cv2.CV_8U)


def _percentiles(small: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Find the 1st and the 99th percentile of every fourth pixel, which is the faster."""
    some = small[::2, ::2].ravel()
    low, high = some.size // 100, some.size - 1 - some.size // 100
    some.partition((low, high))
    return float(some[low]), float(some[high])
