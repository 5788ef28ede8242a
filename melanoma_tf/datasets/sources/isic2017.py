"""ISIC 2017: melanoma, nevus and seborrheic keratosis, with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.label_files import LabelRow, one_hot
from melanoma_tf.datasets.readers.tables import read_table, unique
from melanoma_tf.datasets.source import LabelFile, Source

ISIC2017_CITATION = (
    "Codella et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 ISBI,"
    " hosted by ISIC. arXiv:1710.05006"
)
_CLASSES = ("melanoma", "seborrheic_keratosis")


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
    """Read part 3: columns `image_id`, `melanoma`, `seborrheic_keratosis`.

    An image with neither is a nevus: of 2,000, 374 are melanoma, 254 seborrheic keratosis "and the
    remainder" benign nevi (https://challenge.isic-archive.com/landing/2017/44).
    """
    rows = unique(read_table(path, ("image_id", *_CLASSES)), "image_id")
    return tuple(LabelRow(key, one_hot(row, _CLASSES, none_set="nevus")) for key, row in rows)


ISIC2017 = Source(
    "isic2017",
    list_isic2017,
    licence="CC0-1.0",
    attribution=ISIC2017_CITATION,
    vocabulary={name: name for name in ("melanoma", "nevus", "seborrheic_keratosis")},
    label_files=(LabelFile(read_labels, columns=frozenset({"image_id", *_CLASSES})),),
    archive="isic",
)
