"""Decode, scale, encode and fingerprint images, each file read once, in several threads."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2

from melanoma_tf.records.build.threads import map_in_threads
from melanoma_tf.records.build.thumbnails import THUMBNAIL_SIZE_PX, Thumbnail, thumbnail_of
from melanoma_tf.records.decode import Pixels, read_bgr_at_least, read_mask_noted
from melanoma_tf.records.encode import (
    Encoding,
    encode_bgr,
    encode_mask,
    fit_mask,
    fit_short_side,
)
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.mask_values import INVERTED

# Small images take no longer than handing them over, so they travel in bundles.
_BUNDLE = 8
# A smaller stored image has too few pixels for a thumbnail; then the decoded one gives it.
_LEAST_FOR_THUMBNAIL_PX = 2 * THUMBNAIL_SIZE_PX

# Size and time of an image file and of its mask file.
Signature = tuple[int, int, int, int]
# A file that does not exist.
ABSENT = (-1, -1)


@dataclass(frozen=True)
class ImageFiles:
    """An image file to prepare, and its mask file, if any."""

    image_path: Path
    mask_path: Path | None

    def signature(self) -> Signature:
        """Size and time of the last change of image and mask, by which a changed one is told."""
        return _size_and_time(self.image_path) + _size_and_time(self.mask_path)


def _size_and_time(path: Path | None) -> tuple[int, int]:
    if path is None:
        return ABSENT
    try:
        status = path.stat()
    except NotADirectoryError:  # a data set of an HDF5 file, as FILE.hdf5/KEY
        status = path.parent.stat()
    except OSError:
        return ABSENT
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Prepared:
    """An image as it is stored in a record, with what the search for duplicates compares.

    Attributes:
        image: encoded bytes.
        height, width: size in pixels of both image and mask.
        mask: PNG bytes; empty if the image has no mask.
        pixels: number of pixels of the image file.
        thumbnail: uint8 `(64, 64)`; None for an image without structure.
        signature: that of the files, see `ImageFiles`.
        inverted: whether the mask seems to be, see `mask_values.is_inverted`.
    """

    image: bytes
    height: int
    width: int
    mask: bytes
    pixels: int
    thumbnail: Thumbnail | None
    signature: Signature = (*ABSENT, *ABSENT)
    inverted: bool = False


@dataclass(frozen=True)
class Refused:
    """A file that cannot be stored in a record, and the reason."""

    path: Path
    reason: str
    signature: Signature = (*ABSENT, *ABSENT)


def prepare(files: ImageFiles, encoding: Encoding, max_megapixels: float) -> Prepared | Refused:
    """Read one image and its mask once: scale, encode and fingerprint them."""
    path = files.image_path
    signature = files.signature()
    try:
        decoded, whole_size = read_bgr_at_least(path, encoding.image_size, max_megapixels)
        image = fit_decoded(decoded, whole_size, encoding.image_size)
        height, width = image.shape[:2]
        mask, inverted = b"", False
        if files.mask_path is not None:
            path = files.mask_path
            found = read_mask_noted(path, max_megapixels)
            _refuse_turned(found.pixels, whole_size)
            mask = encode_mask(fit_mask(found.pixels, height, width))
            inverted = INVERTED in found.notes
        enough = min(height, width) >= _LEAST_FOR_THUMBNAIL_PX
        return Prepared(
            image=encode_bgr(image, encoding),
            height=height,
            width=width,
            mask=mask,
            pixels=whole_size[0] * whole_size[1],
            thumbnail=thumbnail_of(image if enough else decoded),
            signature=signature,
            inverted=inverted,
        )
    except UnreadableImageError as error:
        return Refused(path, str(error), signature)


def fit_decoded(decoded: Pixels, whole_size: tuple[int, int], image_size: int) -> Pixels:
    """Scale what `read_bgr_at_least` decoded to a short side of `image_size`.

    After libjpeg's own averaging, linear interpolation between its pixels is as near to averaging
    the whole image as averaging them again, and takes a fifth of the time.
    """
    was_averaged = decoded.shape[0] < whole_size[0] and min(decoded.shape[:2]) < 2 * image_size
    # The exact kind gives the same bits on every machine.
    kind = cv2.INTER_LINEAR_EXACT if was_averaged else cv2.INTER_AREA
    return fit_short_side(decoded, image_size, interpolation=kind)


def _refuse_turned(mask: Pixels, image_size: tuple[int, int]) -> None:
    # If EXIF turns an image whose mask was drawn on the unturned pixels, scaling the mask to the
    # image would silently misplace the lesion.
    height, width = image_size
    if height != width and mask.shape == (width, height):
        raise UnreadableImageError(
            f"mask of {height}x{width} pixels for an image of {width}x{height}: one is turned"
        )


def prepare_all(
    files: Iterable[ImageFiles], encoding: Encoding, *, max_megapixels: float, workers: int
) -> Generator[Prepared | Refused, None, None]:
    """Prepare images, in order, with a bounded number of them in memory.

    Args:
        files: the files; read only as far as the look-ahead needs.
        encoding: how images are stored.
        max_megapixels: images that claim more are refused.
        workers: number of threads.

    Yields:
        One result per item of `files`, in its order.
    """
    task = functools.partial(prepare, encoding=encoding, max_megapixels=max_megapixels)
    return map_in_threads(task, files, workers=workers, bundle=_BUNDLE)
