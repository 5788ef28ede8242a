"""Apply a function in several threads, in order and with bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

from melanoma_tf.core.errors import MelanomaError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Three bundles keep a worker busy while the results are used; that bounds the memory.
_BUNDLES_PER_WORKER = 3


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, bundle: int = 1
) -> Generator[Result, None, None]:
    """Apply a function in threads, in order, with a bounded number of items in memory.

    Threads, since OpenCV, NumPy and TensorFlow release the interpreter while they work: there is no
    process to start, and no image to copy between two.

    Args:
        function: spends its time outside the interpreter.
        items: read only as far as the look-ahead needs.
        workers: number of threads; 1 works in this one.
        bundle: number of items that are handed over together.

    Yields:
        One result per item, in its order.

    Raises:
        MelanomaError: no worker.
    """
    check_workers(workers)
    if workers == 1:
        yield from map(function, items)
        return
    threads_of_opencv = cv2.getNumThreads()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
    pending: deque[Future[list[Result]]] = deque()
    remaining = iter(items)
    # One thread per item; more would compete with those of the other items.
    cv2.setNumThreads(1)
    try:
        while part := list(itertools.islice(remaining, bundle)):
            pending.append(executor.submit(_apply_to_each, function, part))
            if len(pending) >= workers * _BUNDLES_PER_WORKER:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads_of_opencv)


def check_workers(workers: int) -> None:
    """Raise `MelanomaError` where there is no worker."""
    if workers < 1:
        raise MelanomaError(f"expected at least 1 worker; found {workers}")


def _apply_to_each(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def available_cores() -> int:
    """Count the cores that this process may use; in a container that may be fewer than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
