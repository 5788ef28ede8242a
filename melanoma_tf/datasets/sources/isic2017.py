"""ISIC 2017: melanoma, nevus and seborrheic keratosis, with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.label_files import (
    LabelRow,
    class_columns,
    one_hot_labels,
)
from melanoma_tf.datasets.readers.tables import is_image_id
from melanoma_tf.datasets.source import LabelFile, Source

ISIC2017_CITATION = (
    "Codella et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 ISBI,"
    " hosted by ISIC. arXiv:1710.05006"
)
_CLASSES = ("melanoma", "seborrheic_keratosis")
_VOCABULARY = {name: name for name in (*_CLASSES, "nevus")}


def _part(split: str, name: str) -> Part:
    prefix = f"ISIC-2017_{name}"
    return Part(
        split,
        images=(f"{prefix}_Data",),
        masks=f"{prefix}_Part1_GroundTruth",
        labels=(f"{prefix}_Part3_GroundTruth.csv",),
        metadata=f"{prefix}_Data_metadata.csv",
    )


def list_isic2017(folder: Path) -> Listing:
    """List ISIC 2017, parts 1 (masks) and 3 (three diagnoses); training, validation, test.

    `ISIC-2017_Training_Data/ISIC_0000000.jpg` (with `ISIC-2017_Training_Data_metadata.csv`),
    `ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png`,
    `ISIC-2017_Training_Part3_GroundTruth.csv`, and the same with `Validation` and `Test_v2`.
    https://challenge.isic-archive.com/landing/2017/44
    """
    parts = (
        _part("train", "Training"),
        _part("validation", "Validation"),
        _part("test", "Test_v2"),
    )
    return list_challenge("isic2017", folder, parts, read_labels)


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read part 3: `image_id`, `melanoma`, `seborrheic_keratosis`.

    An image with neither is a nevus: of 2,000, 374 are melanoma, 254 seborrheic keratosis "and the
    remainder" benign nevi (https://challenge.isic-archive.com/landing/2017/44).
    """
    return one_hot_labels(path, _VOCABULARY, _CLASSES, none_set="nevus")


def _is_label_file(path: Path, header: tuple[str, ...]) -> bool:
    if len(header) == 3 and is_image_id(header[0]):
        return True
    return sorted(class_columns(header)) == sorted(_CLASSES)


ISIC2017 = Source(
    "isic2017",
    list_isic2017,
    licence="CC0-1.0",
    attribution=ISIC2017_CITATION,
    vocabulary=_VOCABULARY,
    label_files=(LabelFile(read_labels, recognize=_is_label_file, classes=tuple(_VOCABULARY)),),
    archive="isic",
)
