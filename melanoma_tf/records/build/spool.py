"""The prepared images of a running build on disk: its journal, from which the shards are written.

Every image is one frame of a file that only grows: a fixed head with a checksum, and the encoded
image and mask. A kill in the middle of a frame leaves a tail that the checksum
rejects, and the build goes on after the last whole frame. A second frame of an image replaces the
first. The thumbnails, which the search for duplicates reads at random, lie in a file beside it.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import time
import zlib
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Union

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.prepare import ABSENT, ImageFiles, Prepared, Refused
from melanoma_tf.records.build.thumbnails import BLANK, ThumbnailFile
from melanoma_tf.records.build.unfinished import SPOOLED

_THUMBNAILS = "thumbnails"
# Magic, and the checksum of all that follows.
_HEAD = struct.Struct("<4sI")
# Index, height, width, pixels of the file, bytes of image and mask, checksum of the thumbnail,
# whether the mask seems inverted, and the signature. A height of 0 means a refused file: image and
# mask are its name and the reason.
_ROW = struct.Struct("<QIIQQQI?4q")
_MAGIC = b"MTS2"
_BUFFER_BYTES = 2**20
# A kill loses no more than this much work.
_SECONDS_BETWEEN_FLUSHES = 1.0
_ABSENT = 2**64 - 1
_SAMPLE = 32

PrepareAll = Callable[[Iterable[ImageFiles]], Generator[Union[Prepared, Refused], None, None]]


class Spool:
    """Results of `prepare`, each under the index of its row.

    What an earlier attempt left in the folder is continued. A result whose files have changed since
    counts as missing; where they have vanished, it is kept.

    Args:
        folder: the folder of its files.
        files: the image files of all rows.

    Attributes:
        path: the file of images.
        files: the image files of all rows.
        thumbnails: one per row, blank where there is none.
        pixels: number of pixels of the image file per row, 0 for one that was refused.
        inverted: rows whose masks seem inverted.

    Raises:
        MelanomaError: the files cannot be written.
    """

    def __init__(self, folder: Path, files: Sequence[ImageFiles]) -> None:
        self.path = folder / SPOOLED
        self.files = files
        self._offsets = array("Q", [_ABSENT]) * len(files)
        self.pixels = array("Q", [0]) * len(files)
        self.inverted: set[int] = set()
        self._end = 0
        self._flushed = time.monotonic()
        with self._named_errors():
            self.path.touch()
            self._stream: BinaryIO = self.path.open("r+b", buffering=_BUFFER_BYTES)
            self.thumbnails = ThumbnailFile(folder / _THUMBNAILS)
            self._restore()

    @property
    def size_bytes(self) -> int:
        """Bytes of all frames."""
        return self._end

    def missing(self) -> list[int]:
        """List the rows without a result."""
        return [index for index, offset in enumerate(self._offsets) if offset == _ABSENT]

    def write(self, index: int, result: Prepared | Refused) -> None:
        """Append a result.

        Raises:
            MelanomaError: the disk is full, or fails.
        """
        thumbnail, inverted = BLANK, False
        if isinstance(result, Prepared):
            inverted = result.inverted
            image, mask = result.image, result.mask
            size = (result.height, result.width, result.pixels)
            if result.thumbnail is not None:
                thumbnail = result.thumbnail.tobytes()
        else:
            image, mask = result.path.name.encode(), result.reason.encode()
            size = (0, 0, 0)
        lengths = (len(image), len(mask))
        row = _ROW.pack(index, *size, *lengths, zlib.crc32(thumbnail), inverted, *result.signature)
        checksum = zlib.crc32(mask, zlib.crc32(image, zlib.crc32(row)))
        frame = b"".join((_HEAD.pack(_MAGIC, checksum), row, image, mask))
        with self._named_errors():
            self.thumbnails.put(index, thumbnail)
            self._stream.write(frame)
            self._offsets[index] = self._end
            self._set(index, size[2], inverted)
            self._end += len(frame)
            if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
                self.flush()

    def read(self, index: int) -> Prepared | Refused:
        """Read the result of a row; cheapest in the order in which they were written."""
        self._stream.seek(self._offsets[index] + _HEAD.size)
        _, height, width, pixels, image_bytes, mask_bytes, _, inverted, *signature = _ROW.unpack(
            self._stream.read(_ROW.size)
        )
        image, mask = self._stream.read(image_bytes), self._stream.read(mask_bytes)
        if not height:
            return Refused(Path(image.decode()), mask.decode(), tuple(signature))
        return Prepared(image, height, width, mask, pixels, None, tuple(signature), inverted)

    def flush(self) -> None:
        """Hand everything over to the system, so that a kill loses nothing."""
        with self._named_errors():
            # The thumbnail first: a frame counts only with its thumbnail.
            self.thumbnails.flush()
            self._stream.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close the files."""
        with self._named_errors():
            self.thumbnails.close()
            self._stream.close()

    def _set(self, index: int, pixels: int, inverted: bool) -> None:
        self.pixels[index] = pixels
        if inverted:
            self.inverted.add(index)
        else:
            self.inverted.discard(index)

    def _restore(self) -> None:
        """Find the whole frames of an earlier attempt, and cut off what follows them."""
        last: dict[int, tuple[int, list[int]]] = {}
        size = self.path.stat().st_size
        while found := self._whole_frame(size):
            length, (index, _, _, pixels, _, _, thumbnail, inverted, *signature) = found
            self._offsets[index] = self._end
            self._set(index, pixels, bool(inverted))
            last[index] = (thumbnail, signature)
            self._end += length
        for index, (thumbnail, signature) in last.items():
            torn = zlib.crc32(self.thumbnails.get(index)) != thumbnail
            if torn or _has_changed(signature, self.files[index].signature()):
                self._offsets[index] = _ABSENT
        self._stream.seek(self._end)
        self._stream.truncate()

    def _whole_frame(self, size: int) -> tuple[int, tuple[int, ...]] | None:
        """Check the next frame, and return its length and row; None for one that is damaged."""
        fixed = _HEAD.size + _ROW.size
        start = self._stream.read(fixed)
        if len(start) < fixed:
            return None
        magic, checksum = _HEAD.unpack_from(start)
        row = _ROW.unpack_from(start, _HEAD.size)
        length = fixed + row[4] + row[5]
        if magic != _MAGIC or self._end + length > size or row[0] >= len(self.files):
            return None
        body = self._stream.read(length - fixed)
        if zlib.crc32(body, zlib.crc32(start[_HEAD.size :])) != checksum:
            return None
        return length, row

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MelanomaError(
                f"{self.path}: cannot be written: {error.strerror or error}; what is done stays "
                "for --resume"
            ) from None


def fill_spool(
    spool: Spool,
    prepare_all: PrepareAll,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None,
) -> None:
    """Prepare the images that a spool lacks.

    Args:
        spool: holds the files, and gets the results.
        prepare_all: makes one result per image, in order.
        progress: wraps the stream of results, given their number.

    Raises:
        MelanomaError: the disk is full, or will be, as far as the first images tell.
    """
    missing = spool.missing()
    with contextlib.closing(prepare_all(spool.files[index] for index in missing)) as prepared:
        results: Iterable[Any] = prepared
        if progress is not None:
            results = progress(results, len(missing))
        for done, (index, result) in enumerate(zip(missing, results), start=1):
            spool.write(index, result)
            if done == min(_SAMPLE, len(missing)):
                _refuse_too_little_space(spool, len(missing) - done)
    spool.flush()


def _refuse_too_little_space(spool: Spool, remaining: int) -> None:
    """Estimate from the images so far, a random sample, what the others and the records take."""
    done = len(spool.files) - remaining
    records = spool.size_bytes * len(spool.files) // done
    needed = records - spool.size_bytes + records + remaining * len(BLANK)
    free = shutil.disk_usage(spool.path.parent).free
    if needed > free:
        raise MelanomaError(
            f"{spool.path.parent}: expected about {needed / 1e6:,.0f} MB of free space for the "
            f"records and the spool, judging from {done} images; found {free / 1e6:,.0f} MB"
        )


def _has_changed(before: Sequence[int], now: Sequence[int]) -> bool:
    # What was read of a file that has vanished is still right.
    return any(found not in (ABSENT[0], known) for known, found in zip(before, now))
