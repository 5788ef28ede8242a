"""HAM10000: seven diagnoses, several images of a lesion, with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.folders import (
    first_file,
    layout_error,
    require_folder,
)
from melanoma_tf.datasets.readers.joining import find_files, join_images
from melanoma_tf.datasets.readers.label_files import LabelRow, known_diagnosis, label_row
from melanoma_tf.datasets.readers.tables import key_column, read_header, read_table, unique
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.vocabularies import HAM10000_CODES

HAM10000_CITATION = (
    "Tschandl, Rosendahl, Kittler. The HAM10000 dataset, a large collection of multi-source"
    " dermatoscopic images of common pigmented skin lesions. Sci. Data 5:180161 (2018),"
    " doi:10.7910/DVN/DBW86T"
)
_TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
_IMAGES = ("HAM10000_images", "HAM10000_images_part_1", "HAM10000_images_part_2")
_FOLDERS = (
    *_IMAGES,
    *(name.lower() for name in _IMAGES),
    "HAM10000_segmentations_lesion_tschandl",
)


def list_ham10000(folder: Path) -> Listing:
    """List HAM10000, seven diagnoses, images grouped by lesion; it has no split: `train`.

    `HAM10000_images_part_1/ISIC_0024306.jpg` and `HAM10000_images_part_2` (or all of them in
    `HAM10000_images`, or anywhere below the folder), `HAM10000_metadata.csv` (or `.tab`, as the
    Dataverse converts it), masks in `HAM10000_segmentations_lesion_tschandl`, each as
    `ISIC_0024306_segmentation.png`.
    https://doi.org/10.7910/DVN/DBW86T
    """
    require_folder(folder, "ham10000")
    path = first_file(folder, *_TABLES)
    if path is None:
        raise layout_error("ham10000", folder, _TABLES[0])
    rows = read_labels(path)
    return join_images("ham10000", "train", rows, find_files(folder, rows, *_FOLDERS))


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read the metadata: columns `lesion_id`, `image_id`, `dx`, `age`, `sex`, `localization`."""
    rows = unique(read_table(path, ("dx",)), key_column(path, read_header(path)))
    return tuple(
        label_row(row, key, known_diagnosis(row, HAM10000_CODES, "dx")) for key, row in rows
    )


HAM10000 = Source(
    "ham10000",
    list_ham10000,
    licence="CC-BY-NC-4.0",
    attribution=HAM10000_CITATION,
    vocabulary=HAM10000_CODES,
    label_files=(
        LabelFile(read_labels, columns=frozenset({"dx"}), classes=tuple(HAM10000_CODES.values())),
    ),
    archive="isic",
)
