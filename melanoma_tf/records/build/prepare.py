"""Decode, scale and re-encode images in worker processes that never import TensorFlow."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

import cv2

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.decode import Pixels, read_image, read_mask
from melanoma_tf.records.encode import (
    Encoding,
    encode_image,
    encode_mask,
    fit_mask,
    fit_short_side,
)
from melanoma_tf.records.header import UnreadableImageError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Decoding a small image takes about as long as its transfer between processes, so images travel in
# bundles; three bundles keep a worker busy while the parent writes. Both bound the memory.
_BUNDLE = 4
_BUNDLES_PER_WORKER = 3


@dataclass(frozen=True)
class ImageFiles:
    """An image file to prepare, and its mask file, if any."""

    image_path: Path
    mask_path: Path | None


@dataclass(frozen=True)
class Prepared:
    """An image as it is stored in a record.

    Attributes:
        image: encoded bytes.
        height, width: size in pixels of both image and mask.
        mask: PNG bytes; empty if the image has no mask.
    """

    image: bytes
    height: int
    width: int
    mask: bytes


@dataclass(frozen=True)
class Refused:
    """A file that cannot be stored in a record, and the reason."""

    path: Path
    reason: str


def prepare(files: ImageFiles, encoding: Encoding, max_megapixels: float) -> Prepared | Refused:
    """Read, scale and encode one image and its mask."""
    path = files.image_path
    try:
        original = read_image(path, max_megapixels)
        image = fit_short_side(original, encoding.image_size)
        height, width = image.shape[:2]
        encoded = encode_image(image, encoding)
        if files.mask_path is None:
            return Prepared(encoded, height, width, b"")
        path = files.mask_path
        mask = read_mask(path, max_megapixels)
        _refuse_turned(mask, original)
        return Prepared(encoded, height, width, encode_mask(fit_mask(mask, height, width)))
    except UnreadableImageError as error:
        return Refused(path, str(error))


def _refuse_turned(mask: Pixels, image: Pixels) -> None:
    # If EXIF turns an image whose mask was drawn on the unturned pixels, scaling the mask to the
    # image would silently misplace the lesion.
    height, width = image.shape[:2]
    if height != width and mask.shape == (width, height):
        raise UnreadableImageError(
            f"mask of {height}x{width} pixels for an image of {width}x{height}: one is turned"
        )


def prepare_all(
    files: Iterable[ImageFiles], encoding: Encoding, *, max_megapixels: float, workers: int
) -> Iterator[Prepared | Refused]:
    """Prepare images, in order, with a bounded number of them in memory.

    Args:
        files: the files; read only as far as the look-ahead needs.
        encoding: how images are stored.
        max_megapixels: images that claim more are refused.
        workers: number of processes; 1 works in this process.

    Yields:
        One result per item of `files`, in its order.

    Raises:
        MelanomaError: a worker process died.
    """
    task = functools.partial(prepare, encoding=encoding, max_megapixels=max_megapixels)
    return map_in_workers(task, files, workers=workers)


def map_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Apply a function in worker processes, in order, with a bounded number of items in memory.

    Args:
        function: a function of a module, or a `functools.partial` of one, to be importable.
        items: read only as far as the look-ahead needs.
        workers: number of processes; 1 works in this process.

    Yields:
        One result per item, in its order.

    Raises:
        MelanomaError: a worker process died.
    """
    if workers < 1:
        raise MelanomaError(f"expected at least 1 worker; found {workers}")
    if workers == 1:
        yield from map(function, items)
        return
    # spawn: a forked process may hang if TensorFlow runs threads in its parent.
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    pending: deque[Future[list[Result]]] = deque()
    remaining = iter(items)
    try:
        while bundle := list(itertools.islice(remaining, _BUNDLE)):
            pending.append(executor.submit(_apply_to_each, function, bundle))
            if len(pending) >= workers * _BUNDLES_PER_WORKER:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool:
        raise MelanomaError(
            "a worker process died (out of memory?); expected it to finish: try fewer --workers"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _apply_to_each(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def available_cores() -> int:
    """Count the cores that this process may use; in a container that may be fewer than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker() -> None:
    # One thread per process; more would compete with the other processes.
    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole process group: the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot stop its workers, and they would wait for work forever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
