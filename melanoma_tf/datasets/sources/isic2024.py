"""ISIC 2024 (SLICE-3D): crops of 3D total body photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.image_files import ImageScan, hdf5_images, scan_images
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.archive_tables import archive_labels
from melanoma_tf.datasets.readers.folders import (
    first_file,
    image_folders,
    layout_error,
    require_folder,
)
from melanoma_tf.datasets.readers.joining import find_files, join_images
from melanoma_tf.datasets.readers.label_files import UNKNOWN, LabelRow
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.vocabularies import ARCHIVE_WORDS


@dataclass(frozen=True)
class _Part:
    """The official names of one part, those of Kaggle first."""

    split: str
    tables: tuple[str, ...]
    folders: tuple[str, ...]
    hdf5: str


def _part(split: str, kaggle: str, name: str) -> _Part:
    prefix = f"ISIC_2024_{name}"
    return _Part(
        split,
        tables=(
            f"{kaggle}-metadata.csv",
            f"{prefix}_Supplement.csv",
            f"{prefix}_GroundTruth.csv",
            f"{prefix}_Input/metadata.csv",
        ),
        folders=(f"{kaggle}-image/image", f"{kaggle}-image", f"{prefix}_Input"),
        hdf5=f"{kaggle}-image.hdf5",
    )


_PARTS = (_part("train", "train", "Training"), _part("test", "test", "Test"))


def list_isic2024(folder: Path) -> Listing:
    """List ISIC 2024 (SLICE-3D), from either release; training and test.

    Kaggle: `train-metadata.csv` with `train-image/image/ISIC_0015670.jpg` or `train-image.hdf5`,
    and the same with `test`, whose images have no diagnosis. Challenge site:
    `ISIC_2024_Training_GroundTruth.csv`, `ISIC_2024_Training_Supplement.csv`,
    `ISIC_2024_Training_Input/ISIC_0015670.jpg` and its `metadata.csv`. Rows of several tables about
    one image are merged. For images in the HDF5 file, `image_path` names the file as if it were a
    folder. https://doi.org/10.34970/2024-slice-3d
    """
    require_folder(folder, "isic2024")
    found = [listing for part in _PARTS if (listing := _list_part(folder, part)) is not None]
    if not found:
        raise layout_error("isic2024", folder, " or ".join(_PARTS[0].tables[:3]))
    known = {key for each in found for key in (*each.missing, *(row.key for row in each.lesions))}
    unlabelled = dict.fromkeys(key for each in found for key in each.unlabelled)
    return Listing(
        "isic2024",
        tuple(lesion for each in found for lesion in each.lesions),
        tuple(key for each in found for key in each.missing),
        unlabelled=tuple(key for key in unlabelled if key not in known),
        passed_over=tuple(dict.fromkeys(file for each in found for file in each.passed_over)),
    )


def _list_part(folder: Path, part: _Part) -> Listing | None:
    tables = [path for name in part.tables if (path := folder / name).is_file()]
    if not tables:
        return None
    rows = _merged([archive_labels(path) for path in tables])
    hdf5 = first_file(folder, part.hdf5)
    if hdf5 is None:
        files = find_files(folder, rows, *part.folders)
    else:
        # Images in a folder are preferred to those in the HDF5 file.
        files = scan_images(*image_folders(folder, *part.folders))
        inside = hdf5_images(hdf5)
        images = {path.name: path for path in inside.paths}
        files = ImageScan(
            {**images, **files.images}, passed_over=(*files.passed_over, *inside.passed_over)
        )
    return join_images("isic2024", part.split, rows, files)


def _merged(tables: Sequence[Sequence[LabelRow]]) -> list[LabelRow]:
    """Merge tables into one row per image; each field comes from the first table that has it."""
    found: dict[str, LabelRow] = {}
    for rows in tables:
        for row in rows:
            known = found.get(row.key)
            found[row.key] = row if known is None else _completed(known, row)
    return list(found.values())


def _completed(known: LabelRow, further: LabelRow) -> LabelRow:
    return replace(
        known,
        diagnosis=further.diagnosis if known.diagnosis == UNKNOWN else known.diagnosis,
        lesion_id=known.lesion_id or further.lesion_id,
        patient_id=known.patient_id or further.patient_id,
        age=further.age if known.age is None else known.age,
        sex=known.sex or further.sex,
        site=known.site or further.site,
    )


ISIC2024 = Source(
    "isic2024",
    list_isic2024,
    licence="CC-BY-NC-4.0",
    attribution="International Skin Imaging Collaboration. SLICE-3D 2024 Challenge Dataset (2024),"
    " doi:10.34970/2024-slice-3d",
    vocabulary=ARCHIVE_WORDS,
    archive="isic",
)
