"""ISIC 2016: benign or melanoma, with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.label_files import LabelRow, known_diagnosis
from melanoma_tf.datasets.readers.tables import is_image_id, read_table, unique
from melanoma_tf.datasets.source import LabelFile, Source

# "malignant (melanoma) or non-malignant": challenge.isic-archive.com/landing/2016/39
_CODES = {
    "benign": "benign",
    "malignant": "melanoma",
    **dict.fromkeys(("0", "0_0"), "benign"),
    **dict.fromkeys(("1", "1_0"), "melanoma"),
}


def _part(split: str, name: str) -> Part:
    prefix = "ISBI2016_ISIC_Part"
    return Part(
        split,
        images=tuple(f"{prefix}{part}_{name}_Data" for part in ("3", "3B", "1")),
        masks=f"{prefix}1_{name}_GroundTruth",
        labels=tuple(f"{prefix}{part}_{name}_GroundTruth.csv" for part in ("3", "3B")),
    )


def list_isic2016(folder: Path) -> Listing:
    """List ISIC 2016, parts 1 (masks), 3 and 3B (benign or melanoma); training and test.

    `ISBI2016_ISIC_Part3_Training_Data/ISIC_0000000.jpg`,
    `ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png`,
    `ISBI2016_ISIC_Part3_Training_GroundTruth.csv` (no header), and the same with `Test`. Part 3B
    has its masks among the images. https://challenge.isic-archive.com/landing/2016/39
    """
    parts = (_part("train", "Training"), _part("test", "Test"))
    return list_challenge("isic2016", folder, parts, read_labels)


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read part 3: id and `benign` or `malignant` (training), 0.0 or 1.0 (test), no header.

    Raises:
        MelanomaError: the file contains another word.
    """
    rows = unique(read_table(path, without_header=("image", "verdict")), "image")
    return tuple(LabelRow(key, known_diagnosis(row, _CODES, "verdict")) for key, row in rows)


def _is_label_file(path: Path, first_line: tuple[str, ...]) -> bool:
    return len(first_line) == 2 and is_image_id(first_line[0])


ISIC2016 = Source(
    "isic2016",
    list_isic2016,
    licence="CC0-1.0",
    attribution="Gutman et al. Skin Lesion Analysis toward Melanoma Detection: A Challenge at ISBI"
    " 2016, hosted by ISIC. arXiv:1605.01397",
    vocabulary=_CODES,
    label_files=(LabelFile(read_labels, recognize=_is_label_file, form="verdict"),),
    archive="isic",
)
