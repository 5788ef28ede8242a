"""Explanations of image files, with their lesion masks where given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import cv2
import tensorflow as tf

from melanoma_tf.classification.explain import AT_ONCE, Explainer, Explanation, explained
from melanoma_tf.classification.explanation_data import look
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import (
    FoundImages,
    find_images,
    mask_of,
    refuse_equal_names,
    scan_masks,
)
from melanoma_tf.records.decode import UnreadableImageError, read_mask, read_portable
from melanoma_tf.records.header import read_header


@dataclass(frozen=True)
class Failure:
    """An image file that cannot be explained, and why."""

    path: Path
    reason: str


Result = Union[Explanation, Failure]
_Read = Union[tuple[bytes, dict[str, tf.Tensor]], Failure]


def files_and_masks(images: Sequence[Path], masks: Path | None) -> tuple[FoundImages, list[Path]]:
    """The photographs among files and folders, and those of them that lack a mask.

    Args:
        images: files and folders.
        masks: a folder with lesion masks; without it no image is said to lack one.

    Raises:
        MelanomaError: a path does not exist, a folder has no image, two images have one name, or
            `masks` has none of any.
    """
    found = find_images(images)
    paths = found.paths
    refuse_equal_names(paths)
    if masks is None:
        return found, []
    if not masks.is_dir():
        raise MelanomaError(f"expected a folder of lesion masks at {masks}; it does not exist")
    scanned = scan_masks(masks).masks
    without = [path for path in paths if mask_of(scanned, path) is None]
    if len(without) == len(paths):
        raise MelanomaError(
            f"{masks}: expected NAME_segmentation.png or NAME.png, as {paths[0].stem}"
            f"_segmentation.png; found none for any of {len(paths):,} images"
        )
    return found, without


def explained_files(
    explainer: Explainer, paths: Sequence[Path], masks: Path | None = None
) -> Iterator[Result]:
    """Explain image files, in order; one that cannot be read, or its mask, yields a failure.

    Args:
        explainer: the classifier.
        paths: image files, see `records.decode.read_image`.
        masks: a folder with lesion masks, see `datasets.image_files.scan_masks`.
    """
    view = explainer.view

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)] * 2)
    def looked_at(encoded: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
        return look(encoded, mask, view)

    seen = looked_at.get_concrete_function()
    scanned = {} if masks is None else scan_masks(masks).masks

    def read(path: Path) -> _Read:
        try:
            encoded = read_portable(path)
            mask = _encoded_mask(path, scanned, encoded)
            return encoded, seen(tf.constant(encoded), tf.constant(mask))
        except MelanomaError as error:
            return Failure(path, str(error))
        except tf.errors.InvalidArgumentError:
            return Failure(path, "expected an image; it cannot be decoded")

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AT_ONCE):
            batch = paths[start : start + AT_ONCE]
            results = list(pool.map(read, batch))
            good = [(path, each) for path, each in zip(batch, results) if isinstance(each, tuple)]
            rows: Iterator[Explanation] = iter(())
            if good:
                encoded = tf.constant([content for _, (content, _) in good])
                looks = [seen_of for _, (_, seen_of) in good]
                columns = {name: tf.stack([one[name] for one in looks]) for name in looks[0]}
                rows = explained(explainer, [p.stem for p, _ in good], encoded, columns)
            for each in results:
                yield each if isinstance(each, Failure) else next(rows)


def _encoded_mask(image: Path, masks: Mapping[str, Path], encoded: bytes) -> bytes:
    """The mask as PNG bytes of 0 and 255, checked to be of the image's size; empty of none."""
    path = mask_of(masks, image)
    if path is None:
        return b""
    try:
        mask = read_mask(path)
    except UnreadableImageError as error:
        raise MelanomaError(f"its mask {path}: {error}") from None
    header = read_header(encoded)
    if mask.shape != (header.height, header.width):
        raise MelanomaError(
            f"expected a mask of its size, {header.width}x{header.height}; "
            f"{path} has {mask.shape[1]}x{mask.shape[0]}"
        )
    return cv2.imencode(".png", mask)[1].tobytes()
