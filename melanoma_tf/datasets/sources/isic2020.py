"""ISIC 2020: benign or melanoma, by patient, as JPEG or DICOM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import slug
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.folders import first_file
from melanoma_tf.datasets.readers.label_files import (
    UNKNOWN,
    LabelRow,
    known_diagnosis,
    label_row,
)
from melanoma_tf.datasets.readers.tables import key_column, read_header, read_table, unique
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.vocabularies import ARCHIVE_WORDS

_DUPLICATE_COLUMNS = ("image_name_1", "image_name_2")
_TRAINING = Part(
    "train",
    # JPEG before DICOM, in the archive's own folders and in those of the competition on Kaggle,
    # whose `train` holds DICOM.
    images=(
        "jpeg/train",
        "ISIC_2020_Training_JPEG",
        "ISIC_2020_Training_JPEG/train",
        "train",
        "ISIC_2020_Training_Dicom",
        "ISIC_2020_Training_Dicom/train",
        "ISIC_2020_Train_DICOM_corrected",
        "ISIC_2020_Train_DICOM_corrected/train",
    ),
    # The second version adds the lesion to each row.
    labels=(
        "ISIC_2020_Training_GroundTruth_v2.csv",
        "ISIC_2020_Training_GroundTruth.csv",
        "train.csv",
    ),
)


def list_isic2020(folder: Path) -> Listing:
    """List ISIC 2020, JPEG or DICOM; training, since no truth of the test part is public.

    `train/ISIC_0015719.jpg` or `ISIC_2020_Training_Dicom/ISIC_0015719.dcm`,
    `ISIC_2020_Training_GroundTruth.csv` or its second version, and the official list of duplicates,
    `ISIC_2020_Training_Duplicates.csv`, which becomes the listing's links. Kaggle: `train.csv` with
    `jpeg/train/ISIC_0015719.jpg` or `train/ISIC_0015719.dcm`.
    https://challenge2020.isic-archive.com
    """
    found = list_challenge("isic2020", folder, (_TRAINING,), read_labels)
    duplicates = first_file(folder, "ISIC_2020_Training_Duplicates.csv")
    return found if duplicates is None else replace(found, links=duplicate_pairs(duplicates))


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read the truth: one row per image with its verdict (`target`), and a diagnosis where known.

    Most diagnoses are `unknown`; then the verdict tells whether the lesion is a melanoma or benign.

    Raises:
        MelanomaError: an unknown diagnosis, or one that contradicts the verdict.
    """
    column = key_column(path, read_header(path))
    found = []
    for key, row in unique(read_table(path, ("target",)), column):
        target = row.number("target")
        if target not in (0, 1):
            raise MelanomaError(
                f"{row.place}: expected a target of 0 or 1, found {row.cells['target']!r}"
            )
        malignant = target == 1
        words = row.text("diagnosis")
        if slug(words) in {"", UNKNOWN}:
            diagnosis = "melanoma" if malignant else "benign"
        else:
            diagnosis = known_diagnosis(row, ARCHIVE_WORDS, "diagnosis")
        if malignant != (diagnosis in {"melanoma", "malignant"}):
            raise MelanomaError(
                f"{row.place}: expected target {not malignant:d} for {words}, found {malignant:d}"
            )
        found.append(label_row(row, key, diagnosis))
    return tuple(found)


def duplicate_pairs(path: Path) -> tuple[tuple[str, str], ...]:
    """Read the official list of duplicates: columns `image_name_1`, `image_name_2`."""
    rows = read_table(path, _DUPLICATE_COLUMNS)
    left, right = _DUPLICATE_COLUMNS
    return tuple((row.image_key(left), row.image_key(right)) for row in rows)


def is_duplicate_list(first_line: tuple[str, ...]) -> bool:
    """Tell whether a file with these columns is the list that `duplicate_pairs` reads."""
    return set(_DUPLICATE_COLUMNS) <= set(first_line)


ISIC2020 = Source(
    "isic2020",
    list_isic2020,
    licence="CC-BY-NC-4.0",
    attribution="International Skin Imaging Collaboration. SIIM-ISIC 2020 Challenge Dataset (2020),"
    " doi:10.34970/2020-ds01; Rotemberg et al. Sci. Data 8:34 (2021)",
    vocabulary=ARCHIVE_WORDS,
    label_files=(LabelFile(read_labels, columns=frozenset({"target"}), form="verdict"),),
    archive="isic",
)
