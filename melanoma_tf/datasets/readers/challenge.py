"""The layout of the ISIC challenges: parts, each with images, masks and one label file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import images_in, masks_in
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.folders import (
    first_file,
    image_folders,
    layout_error,
    require_folder,
)
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
    for part in present:
        rows = _part_rows(source, folder, part, read_labels)
        images = images_in(*image_folders(folder, *part.images))
        found, absent = join_images(source, part.split, rows, images, _part_masks(folder, part))
        for lesion in found:
            lesions.setdefault(lesion.key, lesion)
        missing += absent
    return Listing(source, tuple(lesions.values()), tuple(missing))


def join_images(
    source: str,
    split: str,
    rows: Sequence[LabelRow],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
) -> tuple[tuple[Lesion, ...], tuple[str, ...]]:
    """Join label rows with their images and masks.

    Returns:
        The lesions of one split, and the keys of the rows without an image.
    """
    lesions = tuple(
        Lesion(
            key=row.key,
            image_path=images[row.key],
            mask_path=masks.get(row.key),
            diagnosis=row.diagnosis,
            source=source,
            split=split,
            lesion_id=row.lesion_id,
            patient_id=row.patient_id,
            age=row.age,
            sex=row.sex,
            site=row.site,
        )
        for row in rows
        if row.key in images
    )
    return lesions, tuple(row.key for row in rows if row.key not in images)


def _is_present(folder: Path, part: Part) -> bool:
    return bool(image_folders(folder, *part.images)) or first_file(folder, *part.labels) is not None


def _part_masks(folder: Path, part: Part) -> dict[str, Path]:
    # ISIC 2016, part 3B, has its masks among the images.
    return masks_in(*image_folders(folder, *filter(None, (*part.images, part.masks))))


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
    images = images_in(*image_folders(folder, *part.images))
    keys = images.keys() & _part_masks(folder, part).keys()
    if not keys:
        wanted = " or ".join(filter(None, (*part.labels[:1], part.masks)))
        raise MelanomaError(f"{source}: expected {wanted} in {folder} for {part.images[0]}")
    return [LabelRow(key, UNKNOWN) for key in sorted(keys)]
