"""MILK10k, the data set of ISIC 2025: lesions with a clinical and a dermoscopic image each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.folders import first_file, layout_error, require_folder
from melanoma_tf.datasets.readers.joining import (
    ImageTypes,
    chosen_types,
    find_files,
    join_images,
)
from melanoma_tf.datasets.readers.label_files import UNKNOWN, LabelRow, label_row, one_hot_labels
from melanoma_tf.datasets.readers.tables import read_table, unique
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.vocabularies import MILK10K_CODES

_TRUTH, _METADATA = "MILK10k_Training_GroundTruth.csv", "MILK10k_Training_Metadata.csv"
_CLASSES = (
    "AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC",
)  # fmt: skip


def list_milk10k(folder: Path, settings: ImageTypes | None = None) -> Listing:
    """List MILK10k, eleven classes, two images of each lesion; training, the only part with truth.

    `MILK10k_Training_Input/IL_0000652/ISIC_4671410.jpg`, `MILK10k_Training_Metadata.csv` (one row
    per image, with its type), `MILK10k_Training_GroundTruth.csv` (one row per lesion). Of each
    lesion the dermoscopic image is taken, and with `images=all` the clinical one too.
    https://challenge.isic-archive.com/landing/milk10k

    Raises:
        MelanomaError: a table is absent or faulty.
    """
    require_folder(folder, "milk10k")
    truth, metadata = first_file(folder, _TRUTH), first_file(folder, _METADATA)
    if truth is None or metadata is None:
        raise layout_error("milk10k", folder, f"{_TRUTH} and {_METADATA}")
    rows = _image_rows(metadata, truth)
    files = find_files(folder, rows, "MILK10k_Training_Input", below=True)
    types = {row.key: row.image_type for row in rows}
    found = join_images("milk10k", "train", rows, files)
    return chosen_types(found, types, (settings or ImageTypes()).images)


def _image_rows(metadata: Path, truth: Path) -> list[LabelRow]:
    """Join the rows of images with the diagnoses of their lesions."""
    lesions = {row.key: row.diagnosis for row in read_labels(truth)}
    table = read_table(metadata, ("isic_id", "lesion_id", "image_type"))
    rows = []
    for key, row in unique(table, "isic_id"):
        diagnosis = lesions.get(row.text("lesion_id"), UNKNOWN)
        rows.append(replace(label_row(row, key, diagnosis), site=row.text("site") or None))
    return rows


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read the truth: the column of lesions and one per class, in any order."""
    return one_hot_labels(path, MILK10K_CODES, _CLASSES)


MILK10K = Source(
    "milk10k",
    list_milk10k,
    licence="CC-BY-NC-4.0",
    attribution="MILK study team. MILK10k. ISIC Archive (2025), doi:10.34970/648456",
    settings=ImageTypes,
    vocabulary=MILK10K_CODES,
    label_files=(
        LabelFile(
            read_labels,
            columns=frozenset({"MEL", "AKIEC", "SCCKA"}),
            classes=tuple(MILK10K_CODES.values()),
        ),
    ),
    archive="isic",
)
