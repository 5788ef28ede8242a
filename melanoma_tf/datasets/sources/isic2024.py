"""ISIC 2024 (SLICE-3D): crops of 3D total body photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import ImageScan
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.archive_tables import archive_labels
from melanoma_tf.datasets.readers.folders import (
    first_file,
    layout_error,
    require_folder,
)
from melanoma_tf.datasets.readers.joining import find_files, join_images
from melanoma_tf.datasets.readers.label_files import UNKNOWN, LabelRow
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.vocabularies import ARCHIVE_WORDS

_TABLES = (
    "train-metadata.csv",
    "ISIC_2024_Training_Supplement.csv",
    "ISIC_2024_Training_GroundTruth.csv",
    "ISIC_2024_Training_Input/metadata.csv",
)
_IMAGES = ("train-image/image", "train-image", "ISIC_2024_Training_Input")


def list_isic2024(folder: Path) -> Listing:
    """List ISIC 2024 (SLICE-3D); training, from either release.

    Kaggle: `train-metadata.csv` with `train-image/image/ISIC_0015670.jpg` or `train-image.hdf5`.
    Challenge site: `ISIC_2024_Training_GroundTruth.csv`, `ISIC_2024_Training_Supplement.csv`,
    `ISIC_2024_Training_Input/ISIC_0015670.jpg` and its `metadata.csv`. Rows of several tables about
    one image are merged. For images in the HDF5 file, `image_path` names the file as if it were a
    folder. https://doi.org/10.34970/2024-slice-3d
    """
    require_folder(folder, "isic2024")
    tables = [path for name in _TABLES if (path := folder / name).is_file()]
    if not tables:
        wanted = " or ".join(_TABLES[:3])
        raise layout_error("isic2024", folder, wanted)
    rows = _merged([archive_labels(path) for path in tables])
    files = find_files(folder, rows, *_IMAGES)
    hdf5 = first_file(folder, "train-image.hdf5")
    if hdf5 is not None:
        images = {**_hdf5_images(hdf5), **files.images}
        files = ImageScan(images, passed_over=files.passed_over)
    return join_images("isic2024", "train", rows, files)


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


def _hdf5_images(path: Path) -> dict[str, Path]:
    # Imported here, since only this data set needs it; it is a dependency of Keras.
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {key: path / key for key in file}
    except OSError as error:
        raise MelanomaError(f"{path}: expected an HDF5 file, found {error}") from None


ISIC2024 = Source(
    "isic2024",
    list_isic2024,
    licence="CC-BY-NC-4.0",
    attribution="International Skin Imaging Collaboration. SLICE-3D 2024 Challenge Dataset (2024),"
    " doi:10.34970/2024-slice-3d",
    vocabulary=ARCHIVE_WORDS,
    archive="isic",
)
