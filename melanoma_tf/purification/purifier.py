"""Functions that purify one image outside a graph, and run over several images in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.classical.opencv import purify_image
from melanoma_tf.purification.classical.settings import METHODS, NETWORK
from melanoma_tf.purification.settings import CLASSICAL, NONE, PurificationSettings
from melanoma_tf.records.build.threads import available_cores
from melanoma_tf.records.decode import Pixels

# (uint8 RGB image, lesion mask or None) -> (purified image, occlusion mask `(height, width)`)
Purifier = Callable[[Pixels, "Pixels | None"], tuple[Pixels, Pixels]]
# uint8 RGB image -> lesion mask, uint8 `(height, width)`, 0 or 255
SegmentLesion = Callable[[Pixels], Pixels]
# Wraps the results with a progress bar; gets them and their number.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PurificationTools:
    """The networks of a purification, loaded once for all images.

    Attributes:
        networks: a `purification.purify.Networks` or a `purification.traced.TracedPurification`;
            for the method `network` alone.
        segment_lesion: outlines the lesion of an image without a mask.
    """

    networks: Any = None
    segment_lesion: SegmentLesion | None = None


def load_tools(settings: PurificationSettings) -> PurificationTools:
    """Load the networks that some settings name.

    Raises:
        MelanomaError: a network cannot be read.
    """
    # Imported here: TensorFlow takes seconds to load, and `classical` may do without it.
    networks = segment_lesion = None
    if settings.method == NETWORK:
        networks = _load_networks(settings)
    # With a folder of masks every image has one.
    without_masks = settings.needs_lesions and settings.lesion_masks is None
    if without_masks and settings.segmenter != NONE:
        from melanoma_tf.segmentation.predict import load_traced_segmenter

        segmenter = load_traced_segmenter(settings.segmenter)

        def segment_lesion(image: Pixels) -> Pixels:
            return segmenter.mask(image).numpy()

    return PurificationTools(networks, segment_lesion)


def _load_networks(settings: PurificationSettings) -> Any:
    from melanoma_tf.purification.traced import traced_purification

    traced = traced_purification(settings.inpainter, settings.detector)
    if traced is not None:
        return traced
    from melanoma_tf.purification.networks import load_networks

    given = settings.occlusion_masks is not None
    return load_networks(settings.inpainter, CLASSICAL if given else settings.detector)


def purifier(
    method: str = "classical",
    segment_lesion: SegmentLesion | None = None,
    networks: Any = None,
) -> Purifier:
    """The fastest function that purifies single images by a method.

    Args:
        method: out of `purification.classical.settings.METHODS`, or `network`.
        segment_lesion: outlines the lesion of an image that comes without a mask.
        networks: see `PurificationTools`; for `network` alone.

    Raises:
        MelanomaError: there is no such method, or `network` without, another with networks.
    """
    check_method(method, networks)
    if segment_lesion is not None:
        return _with_lesions(purifier(method, None, networks), segment_lesion)
    if method == "classical":
        return purify_image
    if method == NETWORK:
        return _network_purifier(networks)
    # Imported here: TensorFlow takes seconds to load, and `classical` does without it.
    from melanoma_tf.purification.purify import purify

    def run(image: Pixels, lesion_mask: Pixels | None) -> tuple[Pixels, Pixels]:
        purified, occlusions = purify(image, lesion_mask, method=method)
        return purified.numpy(), occlusions.numpy()[..., 0]

    return run


def _network_purifier(networks: Any) -> Purifier:
    from melanoma_tf.purification.traced import TracedPurification

    if isinstance(networks, TracedPurification):
        apply = _on_arrays(lambda image, _: networks.purify(image))
    else:
        from melanoma_tf.purification.purify import purify_by

        apply = _traced(
            lambda image, lesion: purify_by(networks.fill, image, lesion, find=networks.find)
        )

    def run(image: Pixels, lesion_mask: Pixels | None) -> tuple[Pixels, Pixels]:
        # No mask means the same as an empty one: marks are sought everywhere.
        return apply(
            image, np.zeros(image.shape[:2], np.uint8) if lesion_mask is None else lesion_mask
        )

    return run


def masked_purifier(networks: Any) -> Purifier:
    """A function that fills given occlusions of an image.

    Args:
        networks: see `PurificationTools`.

    Returns:
        A function of an image and its occlusion mask. It raises `MelanomaError` at a mask of
        another size than the image, and at one that leaves nothing of it.
    """
    from melanoma_tf.purification.traced import TracedPurification

    if isinstance(networks, TracedPurification):
        apply = _on_arrays(networks.fill)
    else:
        from melanoma_tf.purification.purify import purify_by

        apply = _traced(lambda image, mask: purify_by(networks.fill, image, occlusion_masks=mask))

    def run(image: Pixels, occlusions: Pixels | None) -> tuple[Pixels, Pixels]:
        if occlusions is None:
            raise MelanomaError("expected an occlusion mask of the image; found none")
        purified, replaced = apply(image, occlusions)
        if occlusions.any() and not replaced.any():
            raise MelanomaError(
                "expected an occlusion mask that leaves some skin to fill from; "
                f"found one that covers {'the whole' if occlusions.all() else 'nearly all of the'} "
                "image"
            )
        return purified, replaced

    return run


def _traced(
    purify: Callable[[Any, Any], tuple[Any, Any]],
) -> Callable[[Pixels, Pixels], tuple[Pixels, Pixels]]:
    """A graph op on image and mask as a function of arrays.

    It is traced here, once for images of every size: several threads would each trace it again.
    """
    import tensorflow as tf

    image, mask = (tf.TensorSpec([None, None, n], tf.uint8) for n in (3, 1))
    return _on_arrays(tf.function(purify).get_concrete_function(image, mask))


def _on_arrays(
    traced: Callable[[Any, Any], tuple[Any, Any]],
) -> Callable[[Pixels, Pixels], tuple[Pixels, Pixels]]:
    """A traced function of image and mask as a function of arrays."""
    import tensorflow as tf

    def run(image: Pixels, mask: Pixels) -> tuple[Pixels, Pixels]:
        if mask.shape[:2] != image.shape[:2]:
            raise MelanomaError(
                f"expected a mask of the image's size, {image.shape[0]}x{image.shape[1]}; "
                f"found {mask.shape[0]}x{mask.shape[1]}"
            )
        purified, replaced = traced(tf.constant(image), tf.constant(mask[..., None]))
        return purified.numpy(), replaced.numpy()[..., 0]

    return run


def check_method(method: str, networks: Any = None) -> None:
    """Raise `MelanomaError` at an unknown method, or networks that do not go with it."""
    known = (*METHODS, NETWORK)
    if method not in known:
        raise MelanomaError(f"expected a method out of {', '.join(known)}; found {method!r}")
    if (method == NETWORK) != (networks is not None):
        raise MelanomaError(
            f"expected networks with the method {NETWORK}, and with no other; found {method}"
        )


def _with_lesions(apply: Purifier, segment_lesion: SegmentLesion) -> Purifier:
    def run(image: Pixels, lesion_mask: Pixels | None) -> tuple[Pixels, Pixels]:
        return apply(image, segment_lesion(image) if lesion_mask is None else lesion_mask)

    return run


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None
) -> Iterator[Result]:
    """`map` in threads: results in order, and only a bounded number of items in memory.

    OpenCV and TensorFlow let other threads run while they compute.

    Args:
        function: called in several threads at once.
        items: its arguments.
        workers: number of threads, 1 or more; None takes one per core.
    """
    workers = available_cores() if workers is None else workers
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
