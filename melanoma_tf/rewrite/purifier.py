"""How single images are purified outside a graph, and several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from melanoma_tf.errors import MelanomaError
from melanoma_tf.images.occlusion_opencv import purify_image
from melanoma_tf.images.occlusion_settings import METHODS
from melanoma_tf.records.decode import Pixels

# (uint8 RGB image, lesion mask or None) -> (purified image, occlusion mask `(height, width)`)
Purifier = Callable[[Pixels, "Pixels | None"], tuple[Pixels, Pixels]]
# uint8 RGB image -> lesion mask, uint8 `(height, width)`, 0 or 255
FindLesion = Callable[[Pixels], Pixels]
# Wraps the results with a progress bar; gets them and their number.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]

Item = TypeVar("Item")
Result = TypeVar("Result")


def purifier(method: str = "classical", find_lesion: FindLesion | None = None) -> Purifier:
    """The fastest way to purify single images by a method.

    Args:
        method: out of `images.occlusion_settings.METHODS`.
        find_lesion: outlines the lesion of an image that comes without a mask.

    Raises:
        MelanomaError: there is no such method.
    """
    if method not in METHODS:
        raise MelanomaError(f"expected a method out of {', '.join(METHODS)}; found {method!r}")
    if find_lesion is not None:
        return _with_lesions(purifier(method), find_lesion)
    if method == "classical":
        return purify_image
    # Here, not above: TensorFlow takes seconds to load, and the classical way does without it.
    from melanoma_tf.images.occlusion import purify

    def run(image: Pixels, lesion_mask: Pixels | None) -> tuple[Pixels, Pixels]:
        purified, occlusions = purify(image, lesion_mask, method=method)
        return purified.numpy(), occlusions.numpy()[..., 0]

    return run


def _with_lesions(apply: Purifier, find_lesion: FindLesion) -> Purifier:
    def run(image: Pixels, lesion_mask: Pixels | None) -> tuple[Pixels, Pixels]:
        return apply(image, find_lesion(image) if lesion_mask is None else lesion_mask)

    return run


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """`map` in threads: results in order, and only a bounded number of items in memory.

    OpenCV and TensorFlow let other threads run while they compute.

    Raises:
        MelanomaError: fewer than 1 worker.
    """
    if workers < 1:
        raise MelanomaError(f"expected at least 1 worker; found {workers}")
    if workers == 1:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
