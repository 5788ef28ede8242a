"""Image files -> small grey thumbnails, all that the search for duplicates keeps of an image."""

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

from melanoma_tf.records.decode import DEFAULT_MAX_MEGAPIXELS, read_grey_reduced
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.build.prepare import map_in_workers

Thumbnail = npt.NDArray[np.uint8]

# 4 KiB per image. Larger ones did not tell real images apart better.
THUMBNAIL_SIZE_PX = 64
# The file is decoded no finer than twice that, which for a camera's JPEG saves most of the work.
_DECODED_SIZE_PX = 2 * THUMBNAIL_SIZE_PX
# Fewer grey levels between the darkest and the brightest part than this are noise, no picture.
_LEAST_CONTRAST = 4.0


class ThumbnailFile:
    """Thumbnails in a temporary file: a build's memory must not grow with its images.

    It is indexed as an array `(count, 64, 64)` is, by a number or by a slice without a step.
    """

    def __init__(self) -> None:
        # The system deletes it when it is closed, which is when nobody holds it any more.
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


# A few thumbnails may as well come as an array `(count, 64, 64)`.
Thumbnails = Union[ThumbnailFile, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of an image file.

    Attributes:
        thumbnail: uint8 `(64, 64)`, grey, stretched to the square and to the full range; None
            where the image has no structure that could be compared.
        pixels: number of pixels of the image file.
    """

    thumbnail: Thumbnail | None
    pixels: int


def make_thumbnail(grey: npt.NDArray[np.uint8]) -> Thumbnail | None:
    """The thumbnail of a grey image, blind to its size, aspect ratio, brightness and contrast.

    Args:
        grey: uint8 `(height, width)`.

    Returns:
        uint8 `(64, 64)`, or None where the image is all but one flat grey.
    """
    size = (THUMBNAIL_SIZE_PX, THUMBNAIL_SIZE_PX)
    # Shrinking needs INTER_AREA, which does nothing sensible where it would have to enlarge.
    shrinks = min(grey.shape) >= THUMBNAIL_SIZE_PX
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # Float before the contrast is stretched: a pale image keeps more than a few grey levels.
    small = cv2.resize(grey.astype(np.float32), size, interpolation=interpolation)
    dark, bright = np.percentile(small, (1, 99))
    if bright - dark < _LEAST_CONTRAST:
        return None
    stretched = (small - dark) * (224 / (bright - dark)) + 16
    return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)


def fingerprint(path: Path, max_megapixels: float = DEFAULT_MAX_MEGAPIXELS) -> Fingerprint | None:
    """The fingerprint of an image file; None where it cannot be read, which the build reports."""
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
    """The fingerprints of image files, in their order, made in worker processes.

    Raises:
        MelanomaError: a worker process died.
    """
    task = functools.partial(fingerprint, max_megapixels=max_megapixels)
    return map_in_workers(task, paths, workers=workers)
