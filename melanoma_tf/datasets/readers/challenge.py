"""The layout of the ISIC challenges: parts, each with images, masks and one label file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import ImageScan, PassedOver, scan_images
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.folders import (
    first_file,
    image_folders,
    layout_error,
    require_folder,
)
from melanoma_tf.datasets.readers.joining import find_files, lesions_of
from melanoma_tf.datasets.readers.label_files import UNKNOWN, LabelRow, metadata_rows

LabelReader = Callable[[Path], Sequence[LabelRow]]


@dataclass(frozen=True)
class Part:
    """The official names of one part of a challenge; empty for what the part lacks.

    Attributes:
        split: `train`, `validation` or `test`.
        images: folders of images; those that exist are taken together.
        masks: folder of lesion masks.
        labels: possible names of the label file.
        metadata: file with age, sex and the like, in the data set's folder or among the images.
    """

    split: str
    images: tuple[str, ...]
    masks: str = ""
    labels: tuple[str, ...] = ()
    metadata: str = ""


def list_challenge(
    source: str, folder: Path, parts: Sequence[Part], read_labels: LabelReader
) -> Listing:
    """List the parts of a challenge that are in a folder.

    Args:
        source: name of the source.
        folder: contains the official folders and files.
        parts: the challenge's parts; an image of two parts is taken from the first.
        read_labels: reader of the parts' label files.

    Raises:
        MelanomaError: no part is present, a part has images but no labels or masks, or a
            label file is faulty.
    """
    require_folder(folder, source)
    present = [part for part in parts if _is_present(folder, part)]
    if not present:
        wanted = " or ".join((part.labels or part.images)[0] for part in parts)
        raise layout_error(source, folder, wanted)
    lesions: dict[str, Lesion] = {}
    missing: list[str] = []
    seen: dict[str, None] = {}
    passed_over: dict[PassedOver, None] = {}
    for part in present:
        rows = _part_rows(source, folder, part, read_labels)
        files = _part_files(folder, part, rows)
        found, absent = lesions_of(source, part.split, rows, files.images, files.masks)
        for lesion in found:
            lesions.setdefault(lesion.key, lesion)
        missing += absent
        seen.update(dict.fromkeys(files.images))
        passed_over.update(dict.fromkeys(files.passed_over))
    known = lesions.keys() | set(missing)
    return Listing(
        source,
        tuple(lesions.values()),
        tuple(missing),
        unlabelled=tuple(key for key in seen if key not in known),
        passed_over=tuple(passed_over),
    )


def _is_present(folder: Path, part: Part) -> bool:
    return bool(image_folders(folder, *part.images)) or first_file(folder, *part.labels) is not None


def _part_files(folder: Path, part: Part, rows: Sequence[LabelRow]) -> ImageScan:
    files = find_files(folder, rows, *part.images)
    # ISIC 2016, part 3B, has its masks among the images.
    apart = scan_images(*image_folders(folder, *filter(None, (part.masks,))))
    passed_over = dict.fromkeys((*files.passed_over, *apart.passed_over))
    return ImageScan(files.images, {**apart.masks, **files.masks}, tuple(passed_over))


def _part_rows(
    source: str, folder: Path, part: Part, read_labels: LabelReader
) -> Sequence[LabelRow]:
    path = first_file(folder, *part.labels)
    if path is None:
        return _rows_of_masks(source, folder, part)
    rows = read_labels(path)
    candidates = [first_file(folder, part.metadata) if part.metadata else None]
    candidates += [parent / part.metadata for parent in image_folders(folder, *part.images)]
    metadata = next((path for path in candidates if path and path.is_file()), None)
    if metadata is None:
        return rows
    known = metadata_rows(metadata)
    return [replace(known.get(row.key, row), key=row.key, diagnosis=row.diagnosis) for row in rows]


def _rows_of_masks(source: str, folder: Path, part: Part) -> list[LabelRow]:
    """Make rows of the images that have a mask but no label: they can train a segmenter."""
    files = _part_files(folder, part, ())
    keys = files.images.keys() & files.masks.keys()
    if not keys:
        wanted = " or ".join(filter(None, (*part.labels[:1], part.masks)))
        raise MelanomaError(f"{source}: expected {wanted} in {folder} for {part.images[0]}")
    return [LabelRow(key, UNKNOWN) for key in sorted(keys)]
