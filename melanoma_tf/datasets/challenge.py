"""The ISIC challenges share a layout: parts of images, masks and one label file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.labels import LabelRow
from melanoma_tf.datasets.layout import (
    first_file,
    images_in,
    layout_error,
    masks_in,
    require_folder,
)
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.errors import MelanomaError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Part:
    """One part of a challenge, by its official names; what a part has not is empty.

    Attributes:
        split: `train`, `validation` or `test`.
        images: folders of images, any of which may be there.
        masks: folder of lesion masks.
        labels: label file.
        metadata: file with age, sex and the like.
    """

    split: str
    images: tuple[str, ...]
    masks: str = ""
    labels: str = ""
    metadata: str = ""


@dataclass(frozen=True)
class Terms:
    """Under which licence a source may be used, and whom to cite."""

    licence: str
    attribution: str


def list_challenge(
    source: str,
    folder: Path,
    parts: Sequence[Part],
    terms: Terms,
    read_labels: Callable[[Path], Sequence[LabelRow]],
    read_metadata: Callable[[Path], Mapping[str, LabelRow]] | None = None,
) -> Listing:
    """List those parts of a challenge that the folder holds.

    Args:
        source: the source's name.
        folder: holds the official folders and files.
        parts: the challenge's parts.
        terms: licence and attribution.
        read_labels: reader of the parts' label files.
        read_metadata: reader of the parts' metadata files, by key; its diagnoses are passed over.

    Raises:
        MelanomaError: no part is there, a part has images and neither labels nor masks, or a
            label file is faulty.
    """
    require_folder(folder, source)
    present = [part for part in parts if _is_present(folder, part)]
    if not present:
        wanted = " or ".join(part.labels or part.images[0] for part in parts)
        raise layout_error(source, folder, wanted)
    lesions: list[Lesion] = []
    missing: list[str] = []
    for part in present:
        rows = _part_rows(source, folder, part, read_labels)
        known = _metadata(folder, part, read_metadata)
        rows = [_completed(row, known.get(row.key)) for row in rows]
        found, absent = join_images(
            source,
            part.split,
            rows,
            images_in(*(folder / name for name in part.images)),
            masks_in(*(folder / name for name in (part.masks, *part.images) if name)),
        )
        lesions += found
        missing += absent
    return Listing(source, tuple(lesions), tuple(missing), terms.licence, terms.attribution)


def join_images(
    source: str,
    split: str,
    rows: Sequence[LabelRow],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
) -> tuple[list[Lesion], list[str]]:
    """Label rows with their image and mask; keys of rows without an image."""
    lesions = [
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
    ]
    return lesions, [row.key for row in rows if row.key not in images]


def _is_present(folder: Path, part: Part) -> bool:
    has_images = any((folder / name).is_dir() for name in part.images)
    return has_images or bool(part.labels and first_file(folder, part.labels))


def _part_rows(
    source: str,
    folder: Path,
    part: Part,
    read_labels: Callable[[Path], Sequence[LabelRow]],
) -> list[LabelRow]:
    path = first_file(folder, part.labels) if part.labels else None
    if path is not None:
        return list(read_labels(path))
    # Images with masks alone still serve to train a segmenter.
    masks = masks_in(*(folder / name for name in (part.masks, *part.images) if name))
    keys = images_in(*(folder / name for name in part.images)).keys() & masks.keys()
    if not keys:
        wanted = " or ".join(filter(None, (part.labels, part.masks)))
        raise MelanomaError(f"{source}: expected {wanted} in {folder}, beside {part.images[0]}")
    return [LabelRow(key, UNKNOWN) for key in sorted(keys)]


def _metadata(
    folder: Path,
    part: Part,
    read_metadata: Callable[[Path], Mapping[str, LabelRow]] | None,
) -> Mapping[str, LabelRow]:
    if read_metadata is None or not part.metadata:
        return {}
    candidates = [first_file(folder, part.metadata)]
    candidates += [folder / name / part.metadata for name in part.images]
    path = next((path for path in candidates if path and path.is_file()), None)
    return read_metadata(path) if path else {}


def _completed(row: LabelRow, known: LabelRow | None) -> LabelRow:
    return row if known is None else replace(known, key=row.key, diagnosis=row.diagnosis)
