"""The ISIC challenges of each year, in their official layout."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.challenge import Part, Terms, list_challenge
from melanoma_tf.datasets.labels import isic2017_labels
from melanoma_tf.datasets.lesion import Listing


def _isic2017_part(split: str, name: str) -> Part:
    prefix = f"ISIC-2017_{name}"
    return Part(
        split,
        images=(f"{prefix}_Data",),
        masks=f"{prefix}_Part1_GroundTruth",
        labels=f"{prefix}_Part3_GroundTruth.csv",
    )


_ISIC2017 = (
    _isic2017_part("train", "Training"),
    _isic2017_part("validation", "Validation"),
    _isic2017_part("test", "Test_v2"),
)
_ISIC2017_TERMS = Terms(
    "CC0-1.0",
    "Codella et al. Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 ISBI,"
    " hosted by ISIC. arXiv:1710.05006",
)


def list_isic2017(folder: Path) -> Listing:
    """ISIC 2017, parts 1 (masks) and 3 (diagnoses); training, validation, test.

    Layout as unpacked from https://challenge.isic-archive.com/data/#2017:
    `ISIC-2017_Training_Data/ISIC_0000000.jpg`,
    `ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png`,
    `ISIC-2017_Training_Part3_GroundTruth.csv`, and the same with `Validation` and `Test_v2`.
    Any of the three may be absent.
    """
    return list_challenge("isic2017", folder, _ISIC2017, _ISIC2017_TERMS, isic2017_labels)
