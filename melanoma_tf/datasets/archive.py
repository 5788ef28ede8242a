"""What the ISIC archive itself hands out: ISIC 2024 (SLICE-3D), and downloads of isic-cli."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.challenge import join_images, listing
from melanoma_tf.datasets.labels import UNKNOWN, LabelRow, archive_labels
from melanoma_tf.datasets.layout import (
    first_file,
    image_folders,
    images_in,
    layout_error,
    masks_in,
    require_folder,
)
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.tables import read_table

_ISIC2024_TABLES = (
    "train-metadata.csv",
    "ISIC_2024_Training_Supplement.csv",
    "ISIC_2024_Training_GroundTruth.csv",
    "ISIC_2024_Training_Input/metadata.csv",
)
_ISIC2024_IMAGES = ("train-image/image", "train-image", "ISIC_2024_Training_Input")


def list_isic2024(folder: Path) -> Listing:
    """ISIC 2024 (SLICE-3D), crops of 3D total body photographs; training, from either release.

    Kaggle: `train-metadata.csv` with `train-image/image/ISIC_0015670.jpg` or `train-image.hdf5`.
    Challenge site: `ISIC_2024_Training_GroundTruth.csv`, `ISIC_2024_Training_Supplement.csv`,
    `ISIC_2024_Training_Input/ISIC_0015670.jpg` and its `metadata.csv`. What several tables say of
    one image is put together. Where there are only the HDF5 file's images, `image_path` names the
    file as if it were a folder. https://doi.org/10.34970/2024-slice-3d
    """
    require_folder(folder, "isic2024")
    tables = [path for name in _ISIC2024_TABLES if (path := folder / name).is_file()]
    if not tables:
        wanted = " or ".join(_ISIC2024_TABLES[:3])
        raise layout_error("isic2024", folder, wanted)
    rows = _merged([archive_labels(path) for path in tables])
    images = images_in(*image_folders(folder, *_ISIC2024_IMAGES))
    hdf5 = first_file(folder, "train-image.hdf5")
    if hdf5 is not None:
        images = {**_hdf5_images(hdf5), **images}
    return listing("isic2024", *join_images("isic2024", "train", rows, images, {}))


def list_isic_archive(folder: Path) -> Listing:
    """What `isic image download DIR` of isic-cli leaves: images and `metadata.csv`, in one folder.

    Licence and attribution are those that the table names for the images that are there, since the
    archive has several. No split of its own: `train`. https://github.com/ImageMarkup/isic-cli
    """
    require_folder(folder, "isic-archive")
    path = first_file(folder, "metadata.csv")
    if path is None:
        raise layout_error("isic-archive", folder, "metadata.csv")
    folders = (folder, *image_folders(folder, "images"))
    lesions, missing = join_images(
        "isic-archive", "train", archive_labels(path), images_in(*folders), masks_in(*folders)
    )
    licences, credits = _terms(path, {lesion.key for lesion in lesions})
    return Listing(
        "isic-archive",
        tuple(lesions),
        tuple(missing),
        ", ".join(licences),
        f"ISIC Archive, https://www.isic-archive.com: {'; '.join(credits)}",
    )


def _terms(path: Path, keys: Set[str]) -> tuple[list[str], list[str]]:
    """Licences and attributions that the table names for those images."""
    rows = (row for row in read_table(path) if row.cells["isic_id"] in keys)
    found = {
        (row.text("copyright_license") or UNKNOWN, row.text("attribution") or UNKNOWN)
        for row in rows
    }
    licences, credits = zip(*found) if found else ((UNKNOWN,), (UNKNOWN,))
    return sorted(set(licences)), sorted(set(credits))


def _merged(tables: Sequence[Sequence[LabelRow]]) -> list[LabelRow]:
    """One row per image; for each field the first table that knows it."""
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
    # Comes with Keras; imported here, since only this one data set needs it.
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {key: path / key for key in file}
    except OSError as error:
        raise MelanomaError(f"{path}: expected an HDF5 file, found {error}") from None
