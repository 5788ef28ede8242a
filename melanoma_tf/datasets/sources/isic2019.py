"""ISIC 2019: eight diagnoses, images of HAM10000, BCN_20000 and MSK."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.label_files import LabelRow, metadata_rows, one_hot_labels
from melanoma_tf.datasets.readers.tables import read_header
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.sources.ham10000 import HAM10000_CITATION
from melanoma_tf.datasets.sources.isic2017 import ISIC2017_CITATION
from melanoma_tf.datasets.vocabularies import SEVEN_CODES

_CODES = {
    **SEVEN_CODES,
    "ak": "actinic_keratosis",
    "scc": "squamous_cell_carcinoma",
    "unk": "unknown",
}


def _part(split: str, name: str) -> Part:
    return Part(
        split,
        images=(f"ISIC_2019_{name}_Input",),
        labels=(f"ISIC_2019_{name}_GroundTruth.csv",),
        metadata=f"ISIC_2019_{name}_Metadata.csv",
    )


def list_isic2019(folder: Path) -> Listing:
    """List ISIC 2019, eight diagnoses and UNK; training and test.

    `ISIC_2019_Training_Input/ISIC_0000000.jpg`, `ISIC_2019_Training_GroundTruth.csv`,
    `ISIC_2019_Training_Metadata.csv`, and the same with `Test`. 2,074 images of earlier years
    are called `ISIC_0000017_downsampled`. https://challenge.isic-archive.com/landing/2019
    """
    parts = (_part("train", "Training"), _part("test", "Test"))
    return list_challenge("isic2019", folder, parts, read_labels)


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read the truth: the column of images and one per class; no taxonomy has a class for UNK.

    Files of participants may lack UNK.
    """
    unknown = ("UNK",) if "UNK" in read_header(path) else ()
    classes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", *unknown)
    return one_hot_labels(path, _CODES, classes)


def _read_metadata(path: Path) -> tuple[LabelRow, ...]:
    return tuple(metadata_rows(path).values())


ISIC2019 = Source(
    "isic2019",
    list_isic2019,
    licence="CC-BY-NC-4.0",
    attribution="ISIC 2019: BCN_20000 (c) Department of Dermatology, Hospital Clinic de Barcelona,"
    " Combalia et al. arXiv:1908.02288; HAM10000 (c) ViDIR Group, Department of Dermatology,"
    f" Medical University of Vienna, {HAM10000_CITATION}; MSK (c) Anonymous, {ISIC2017_CITATION}",
    vocabulary=_CODES,
    label_files=(
        LabelFile(
            read_labels,
            columns=frozenset({"MEL", "SCC"}),
            classes=tuple(_CODES.values()),
        ),
        LabelFile(_read_metadata, columns=frozenset({"image", "age_approx"}), form="metadata"),
    ),
    archive="isic",
)
