"""Image files -> purified image files, and the masks of what was removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import sync_files, write_atomically
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.datasets.image_files import (
    IMAGE_SUFFIXES,
    LESION_MASK,
    OCCLUSION_MASK,
    FoundImages,
    PassedOver,
    describe,
    find_images,
    mask_of,
    scan_masks,
)
from melanoma_tf.purification.purifier import (
    Progress,
    PurificationTools,
    Purifier,
    in_threads,
    load_tools,
    masked_purifier,
    purifier,
)
from melanoma_tf.purification.settings import PurificationSettings
from melanoma_tf.records.decode import UnreadableImageError, read_image, read_mask
from melanoma_tf.records.exif import has_metadata

_WRITTEN = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix != ".dcm")
_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
# Parameters of the encoders; above 100 means lossless to that of WebP.
_PARAMETERS = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}


@dataclass(frozen=True)
class Outcome:
    """The result for one file.

    Attributes:
        path: the image file.
        occluded: fraction of its pixels that were occluded, in [0, 1].
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
    mask: Path | None  # Of occlusions where they are given, else of the lesion.


def purify_files(
    source: Path,
    output: Path,
    settings: PurificationSettings | None = None,
    *,
    tools: PurificationTools | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    log: Callable[[str], None] = print,
) -> list[Outcome]:
    """Purify an image file, or every image under a folder; names, sizes and formats stay.

    Each file appears whole or not at all. An image of which the network replaces nothing is
    copied as it is, or written again where the file says more than its pixels: no EXIF leaves. A
    file that cannot be read is reported; the others are purified.

    Args:
        source: an image, or a folder.
        output: folder for the purified images; sub-folders are made as under `source`.
        settings: see `PurificationSettings`; those of records do not count.
        tools: what `load_tools` makes of `settings`; None loads them.
        overwrite: replace existing files.
        progress: wraps the stream of outcomes, given their number.
        log: takes warnings, such as of files that are no photographs.

    Returns:
        One outcome per image, in the order of their names.

    Raises:
        MelanomaError: no image at `source`, an existing output file, an output that is the
            source, or a network that cannot be read.
    """
    settings = settings or PurificationSettings()
    inputs = [path for path in (source, settings.lesion_masks, settings.occlusion_masks) if path]
    for folder in (output, settings.mask_output):
        if folder is None:
            continue
        if Path(folder).is_file():
            raise MelanomaError(f"expected a folder to write at {folder}; found a file")
        refuse_inputs(Path(folder), map(Path, inputs))
    found = _photographs(Path(source))
    for line in describe(found.passed_over, Path(source)):
        log(f"warning: passed over {line}")
    tasks = _tasks(Path(source), Path(output), found.paths, settings)
    if not overwrite:
        _refuse_existing(tasks)
    tools = tools or load_tools(settings)
    if settings.occlusion_masks is None:
        apply = purifier(settings.method, tools.segment_lesion, tools.networks)
    else:
        apply = masked_purifier(tools.networks)
    copies_unchanged = tools.networks is not None
    outcomes: Iterable[Outcome] = in_threads(
        lambda task: _purify_file(task, apply, copies_unchanged), tasks, workers=settings.workers
    )
    if progress is not None:
        outcomes = progress(outcomes, len(tasks))
    return _on_drive(tasks, list(outcomes))


def _on_drive(tasks: Sequence[_Task], outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, once the drive has all files."""
    written = (task for task, outcome in zip(tasks, outcomes) if not outcome.reason)
    sync_files(path for task in written for path in _targets(task))
    return outcomes


def _photographs(source: Path) -> FoundImages:
    """The photographs at a path and below it that can be written again under their names."""
    found = find_images([source], below=True)
    others = tuple(path for path in found.paths if path.suffix.lower() not in _WRITTEN)
    paths = tuple(path for path in found.paths if path.suffix.lower() in _WRITTEN)
    if not paths:
        raise MelanomaError(
            f"expected images in a format that can be written ({', '.join(_WRITTEN)}); found "
            f"{others[0]}"
        )
    unwritable = [PassedOver(path, "file in a format that cannot be written") for path in others]
    return FoundImages(paths, (*found.passed_over, *unwritable))


def _tasks(
    source: Path, output: Path, paths: Sequence[Path], settings: PurificationSettings
) -> list[_Task]:
    masks, kind = settings.lesion_masks, LESION_MASK
    if settings.occlusion_masks is not None:
        masks, kind = settings.occlusion_masks, OCCLUSION_MASK
    mask_output = settings.mask_output
    root = source if source.is_dir() else source.parent
    if len(paths) > 1 and masks is not None and masks.is_file():
        raise MelanomaError(
            f"expected a folder of masks for {len(paths):,} images; found the file {masks}"
        )
    mask_for = _masks_of(masks, root, kind)
    tasks = []
    for path in paths:
        name = path.relative_to(root)
        drawn = None if mask_output is None else mask_output / name.with_suffix(".png")
        tasks.append(_Task(path, output / name, drawn, mask_for(path)))
    _refuse_clashes(tasks)
    return tasks


def _masks_of(place: Path | None, root: Path, kind: str) -> Callable[[Path], Path | None]:
    """A function from an image to its mask; without a place for masks it gives None."""
    scans: dict[Path, Mapping[str, Path]] = {}

    def mask_for(image: Path) -> Path | None:
        if place is None or place.is_file():
            return place
        folder = place / image.relative_to(root).parent
        if folder not in scans:
            scans[folder] = scan_masks(folder, kind=kind).masks
        # The path of an absent mask, so that reading it reports it.
        return mask_of(scans[folder], image) or folder / f"{image.stem}.png"

    return mask_for


def _targets(task: _Task) -> list[Path]:
    return [task.output] if task.mask_output is None else [task.output, task.mask_output]


def _refuse_clashes(tasks: Sequence[_Task]) -> None:
    """Refuse outputs that would replace an input, or each other."""
    sources = {task.image.resolve() for task in tasks}
    seen: set[Path] = set()
    for target in (path for task in tasks for path in _targets(task)):
        resolved = target.resolve()
        if resolved in sources:
            raise MelanomaError(
                f"expected an output apart from the images; {target} is one of them"
            )
        if resolved in seen:
            raise MelanomaError(f"expected one image per output file; two would be {target}")
        seen.add(resolved)


def _refuse_existing(tasks: Sequence[_Task]) -> None:
    for target in (path for task in tasks for path in _targets(task)):
        if target.exists():
            raise MelanomaError(
                f"{target} exists; expected a new path, or --overwrite to replace it"
            )


def _purify_file(task: _Task, apply: Purifier, copies_unchanged: bool) -> Outcome:
    path, mask = task.image, None
    try:
        image = read_image(path)
        if task.mask is not None:
            path = task.mask
            mask = read_mask(path)
        purified, occlusions = apply(image, mask)
        encoded = _encode(purified[..., ::-1], task.output.suffix)
        if copies_unchanged and not occlusions.any():
            original = task.image.read_bytes()
            encoded = encoded if has_metadata(original) else original
        write_atomically(task.output, encoded, sync=False)
        if task.mask_output is not None:
            write_atomically(task.mask_output, _encode(occlusions, ".png"), sync=False)
    except (UnreadableImageError, MelanomaError) as error:
        return Outcome(task.image, reason=f"{path}: {error}")
    return Outcome(task.image, occluded=float(np.count_nonzero(occlusions)) / occlusions.size)


def _encode(pixels: np.ndarray, suffix: str) -> bytes:
    # OpenCV does not know all names of JPEG.
    suffix = ".jpg" if suffix.lower() in _JPEG_SUFFIXES else suffix.lower()
    parameters = _PARAMETERS.get(suffix, [])
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(pixels), parameters)
    if not done:
        raise UnreadableImageError(f"cannot be encoded as {suffix}")
    return encoded.tobytes()
