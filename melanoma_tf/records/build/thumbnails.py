"""Small grey thumbnails of image files, which the search for duplicates compares."""

from __future__ import annotations

import functools
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.prepare import map_in_workers
from melanoma_tf.records.decode import read_grey_reduced
from melanoma_tf.records.header import DEFAULT_MAX_MEGAPIXELS, UnreadableImageError

Thumbnail = npt.NDArray[np.uint8]

# 4 KiB per image. Larger ones did not tell real images apart better.
THUMBNAIL_SIZE_PX = 64
# Files are decoded at twice that size at least, which saves most of the work on large JPEG files.
_DECODED_SIZE_PX = 2 * THUMBNAIL_SIZE_PX
# A smaller difference in grey levels between the darkest and the brightest part is noise.
_LEAST_CONTRAST = 4.0


class ThumbnailFile:
    """Thumbnails in a temporary file, so that memory does not grow with the number of images.

    Indexed like an array `(count, 64, 64)`, by a number or by a slice without a step.
    """

    def __init__(self) -> None:
        # The system deletes the file when it is closed, at the end of this object's life.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._count = 0

    def append(self, thumbnail: Thumbnail) -> None:
        """Add a thumbnail at the end."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(thumbnail.tobytes())
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, which: int | slice) -> npt.NDArray[np.uint8]:
        part = which if isinstance(which, slice) else slice(which, which + 1)
        start, stop, _ = part.indices(self._count)
        size = THUMBNAIL_SIZE_PX
        self._file.seek(start * size * size)
        content = self._file.read(max(stop - start, 0) * size * size)
        found = np.frombuffer(content, np.uint8).reshape(-1, size, size)
        return found if isinstance(which, slice) else found[0]


# A few thumbnails may also be an array `(count, 64, 64)`.
Thumbnails = Union[ThumbnailFile, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Fingerprint:
    """The thumbnail and size of an image file.

    Attributes:
        thumbnail: uint8 `(64, 64)`, grey, stretched to the square and to the full range; None
            for an image without structure.
        pixels: number of pixels of the image file.
    """

    thumbnail: Thumbnail | None
    pixels: int


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
    dark, bright = np.percentile(small, (1, 99))
    if bright - dark < _LEAST_CONTRAST:
        return None
    stretched = (small - dark) * (224 / (bright - dark)) + 16
    return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def fingerprint(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Fingerprint | None:
    """Fingerprint an image file; None for an unreadable one, which the build reports."""
    try:
        grey, pixels = read_grey_reduced(path, _DECODED_SIZE_PX, max_megapixels)
    except UnreadableImageError:
        return None
    return Fingerprint(make_thumbnail(grey), pixels)


def fingerprint_all(
    paths: Iterable[Path],
    *,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    workers: int = 1,
) -> Iterator[Fingerprint | None]:
    """Fingerprint image files in worker processes, in order.

    Raises:
        MelanomaError: a worker process died.
    """
    task = functools.partial(fingerprint, max_megapixels=max_megapixels)
    return map_in_workers(task, paths, workers=workers)
