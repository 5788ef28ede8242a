"""The ISIC archive itself: downloads of isic-cli."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.archive_tables import METADATA_COLUMNS, archive_labels
from melanoma_tf.datasets.readers.folders import (
    first_file,
    layout_error,
    require_folder,
)
from melanoma_tf.datasets.readers.joining import (
    ALL,
    ImageTypes,
    chosen_types,
    find_files,
    join_images,
)
from melanoma_tf.datasets.readers.label_files import UNKNOWN
from melanoma_tf.datasets.readers.tables import read_table
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.vocabularies import ARCHIVE_WORDS


@dataclass(frozen=True)
class ArchiveSettings(ImageTypes):
    """Options of the source `isic-archive`, see `ImageTypes`; here the default is `all`."""

    images: str = ALL


def list_isic_archive(folder: Path, settings: ArchiveSettings | None = None) -> Listing:
    """List a download of `isic image download DIR` (isic-cli): images and `metadata.csv`.

    Images of all types are counted. Licence and attribution are those that the table names for the
    images found. The archive has no split: `train`. https://github.com/ImageMarkup/isic-cli
    """
    require_folder(folder, "isic-archive")
    path = first_file(folder, "metadata.csv")
    if path is None:
        raise layout_error("isic-archive", folder, "metadata.csv")
    rows = archive_labels(path)
    found = join_images("isic-archive", "train", rows, find_files(folder, rows, ".", "images"))
    types = {row.key: row.image_type for row in rows}
    found = chosen_types(found, types, (settings or ArchiveSettings()).images)
    licences, credits = _terms(path, {lesion.key for lesion in found.lesions})
    return replace(
        found,
        licence=", ".join(licences),
        attribution=f"ISIC Archive, https://www.isic-archive.com: {'; '.join(credits)}",
    )


def _terms(path: Path, keys: Set[str]) -> tuple[list[str], list[str]]:
    """List the licences and attributions that the table names for some images."""
    rows = (row for row in read_table(path) if row.cells["isic_id"] in keys)
    found = {
        (row.text("copyright_license") or UNKNOWN, row.text("attribution") or UNKNOWN)
        for row in rows
    }
    licences, credits = zip(*found) if found else ((UNKNOWN,), (UNKNOWN,))
    return sorted(set(licences)), sorted(set(credits))


def _is_metadata(path: Path, header: tuple[str, ...]) -> bool:
    return "isic_id" in header and any(name in METADATA_COLUMNS for name in header)


ISIC_ARCHIVE = Source(
    "isic-archive",
    list_isic_archive,
    settings=ArchiveSettings,
    vocabulary=ARCHIVE_WORDS,
    label_files=(
        # Two columns, so that ISIC 2024 with its `target` is not taken for ISIC 2020.
        LabelFile(
            archive_labels,
            columns=frozenset({"isic_id", "target"}),
            recognize=_is_metadata,
            form="verdict",
        ),
    ),
    archive="isic",
)
