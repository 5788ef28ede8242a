"""Image files -> purified image files, and the masks of what was taken off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.datasets.image_files import IMAGE_SUFFIXES, find_mask, has_suffix
from melanoma_tf.purification.purifier import (
    MaskedPurifier,
    Progress,
    Purifier,
    SegmentLesion,
    check_method,
    in_threads,
    masked_purifier,
    purifier,
)
from melanoma_tf.records.decode import UnreadableImageError, read_image, read_mask


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        path: the image file.
        occluded: share of its pixels that were occluded, in [0, 1].
        reason: why it could not be purified; empty where it was.
    """

    path: Path
    occluded: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class _Task:
    image: Path
    output: Path
    mask_output: Path | None
    lesion_mask: Path | None
    occlusion_mask: Path | None


def purify_files(
    source: Path,
    output: Path,
    *,
    mask_output: Path | None = None,
    lesion_masks: Path | None = None,
    occlusion_masks: Path | None = None,
    method: str = "classical",
    networks: Any = None,
    segment_lesion: SegmentLesion | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Purify an image file, or every image under a folder; names, sizes and formats stay.

    Each file appears whole or not at all. An image of which the network replaces nothing is
    copied as it is. A file that cannot be read is reported, and the others
    are purified nevertheless.

    Args:
        source: an image, or a folder.
        output: folder for the purified images; sub-folders are made as under `source`.
        mask_output: folder for the occlusion masks, PNG, 255 on what was occluded.
        lesion_masks: folder with `NAME_segmentation.png` or `NAME.png` for every image.
        occlusion_masks: what to replace, instead of what is found: a mask file for one image, or a
            folder with `NAME_occlusion.png` or `NAME.png` for every image; for `network` alone.
        method: out of `purification.classical.settings.METHODS`, or `network`.
        networks: an `purification.purify.Networks`; for the method `network` alone.
        segment_lesion: outlines the lesion where no mask is given.
        workers: number of threads.
        overwrite: replace files that are there.
        progress: wraps the stream of outcomes, given their number.

    Returns:
        One outcome per image, in the order of their names.

    Raises:
        MelanomaError: no image at `source`, an existing output file, an output that is the
            source, or an unknown method.
    """
    apply = _way(method, networks, segment_lesion, occlusion_masks)
    inputs = [path for path in (source, lesion_masks, occlusion_masks) if path is not None]
    for folder in (output, mask_output):
        if folder is not None:
            refuse_inputs(Path(folder), map(Path, inputs))
    tasks = _tasks(Path(source), Path(output), mask_output, lesion_masks, occlusion_masks)
    if not overwrite:
        _refuse_existing(tasks)
    outcomes: Iterable[Outcome] = in_threads(
        lambda task: _purify_file(task, apply), tasks, workers=workers
    )
    if progress is not None:
        outcomes = progress(outcomes, len(tasks))
    return list(outcomes)


def _tasks(
    source: Path,
    output: Path,
    mask_output: Path | None,
    lesion_masks: Path | None,
    occlusion_masks: Path | None,
) -> list[_Task]:
    if source.is_dir():
        found = sorted(p for p in source.rglob("*") if has_suffix(p, IMAGE_SUFFIXES))
        names = [path.relative_to(source) for path in found if path.is_file()]
        root = source
    elif source.is_file():
        root, names = source.parent, [Path(source.name)]
    else:
        raise MelanomaError(f"expected an image or a folder at {source}; there is none")
    if not names:
        raise MelanomaError(
            f"expected images ({', '.join(IMAGE_SUFFIXES)}) under {source}; found none"
        )
    if len(names) > 1 and occlusion_masks is not None and occlusion_masks.is_file():
        raise MelanomaError(
            f"expected a folder of masks for {len(names):,} images; found the file "
            f"{occlusion_masks}"
        )
    tasks = [
        _Task(
            root / name,
            output / name,
            None if mask_output is None else mask_output / name.with_suffix(".png"),
            _mask_of(lesion_masks, root, name, "_segmentation"),
            _mask_of(occlusion_masks, root, name, "_occlusion"),
        )
        for name in names
    ]
    _refuse_clashes(tasks)
    return tasks


def _mask_of(place: Path | None, root: Path, name: Path, ending: str) -> Path | None:
    if place is None or place.is_file():
        return place
    found = find_mask(place / name.parent, root / name, ending)
    # The path of an absent mask, so that reading it reports it.
    return found or place / name.with_suffix(".png")


@dataclass(frozen=True)
class _Way:
    """How an image is purified: what is to go is found, or given; one of them is None."""

    finding: Purifier | None
    given: MaskedPurifier | None
    copies_untouched: bool


def _way(
    method: str, networks: Any, segment_lesion: SegmentLesion | None, occlusion_masks: Path | None
) -> _Way:
    check_method(method, networks)
    if occlusion_masks is None:
        return _Way(purifier(method, segment_lesion, networks), None, networks is not None)
    if networks is None:
        raise MelanomaError(f"expected occlusion masks with the method network; found {method}")
    return _Way(None, masked_purifier(networks), copies_untouched=True)


def _targets(task: _Task) -> list[Path]:
    return [task.output] if task.mask_output is None else [task.output, task.mask_output]


def _refuse_clashes(tasks: Sequence[_Task]) -> None:
    """Refuse outputs that would replace an input, or each other."""
    sources = {task.image.resolve() for task in tasks}
    seen: set[Path] = set()
    for target in (path for task in tasks for path in _targets(task)):
        resolved = target.resolve()
        if resolved in sources:
            raise MelanomaError(f"expected an output beside the images; {target} is one of them")
        if resolved in seen:
            raise MelanomaError(f"expected one image per output file; two would be {target}")
        seen.add(resolved)


def _refuse_existing(tasks: Sequence[_Task]) -> None:
    for target in (path for task in tasks for path in _targets(task)):
        if target.exists():
            raise MelanomaError(
                f"{target} exists; expected a new path, or --overwrite to replace it"
            )


def _purify_file(task: _Task, way: _Way) -> Outcome:
    path = task.image
    try:
        image = read_image(path)
        if way.given is not None and task.occlusion_mask is not None:
            path = task.occlusion_mask
            purified, occlusions = way.given(image, read_mask(path))
        else:
            assert way.finding is not None
            lesion = None
            if task.lesion_mask is not None:
                path = task.lesion_mask
                lesion = read_mask(path)
            purified, occlusions = way.finding(image, lesion)
        untouched = way.copies_untouched and not occlusions.any()
        encoded = _encode(purified[..., ::-1], task.output.suffix)
        write_atomically(task.output, task.image.read_bytes() if untouched else encoded)
        if task.mask_output is not None:
            write_atomically(task.mask_output, _encode(occlusions, ".png"))
    except UnreadableImageError as error:
        return Outcome(task.image, reason=f"{path}: {error}")
    except MelanomaError as error:
        return Outcome(task.image, reason=f"{path}: {error}")
    return Outcome(task.image, occluded=float(np.count_nonzero(occlusions)) / occlusions.size)


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    jpeg = suffix.lower() in (".jpg", ".jpeg")
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 95] if jpeg else []
    done, encoded = cv2.imencode(suffix.lower(), np.ascontiguousarray(pixels), parameters)
    if not done:
        raise UnreadableImageError(f"cannot be encoded as {suffix}")
    return encoded.tobytes()
