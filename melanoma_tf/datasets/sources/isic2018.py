"""ISIC 2018: the seven diagnoses of HAM10000; other images with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import Part, list_challenge
from melanoma_tf.datasets.readers.label_files import LabelRow, one_hot_labels
from melanoma_tf.datasets.source import LabelFile, Source
from melanoma_tf.datasets.sources.ham10000 import HAM10000_CITATION
from melanoma_tf.datasets.vocabularies import HAM10000_CODES


def _parts(split: str, name: str) -> tuple[Part, Part]:
    return (
        Part(
            split,
            images=(f"ISIC2018_Task3_{name}_Input",),
            # Officially the two tasks have different images; masks that fit are used.
            masks=f"ISIC2018_Task1_{name}_GroundTruth",
            labels=(f"ISIC2018_Task3_{name}_GroundTruth.csv",),
            metadata=f"ISIC2018_Task3_{name}_LesionGroupings.csv",
        ),
        Part(
            split,
            images=(f"ISIC2018_Task1-2_{name}_Input",),
            masks=f"ISIC2018_Task1_{name}_GroundTruth",
        ),
    )


def list_isic2018(folder: Path) -> Listing:
    """List ISIC 2018, tasks 1 (masks) and 3 (seven diagnoses); training, validation, test.

    Task 3: `ISIC2018_Task3_Training_Input/ISIC_0024306.jpg`,
    `ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv`, lesions from
    `ISIC2018_Task3_Training_LesionGroupings.csv`. Task 1 has other images:
    `ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg`,
    `ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png`, diagnosis `unknown`. The
    same with `Validation` and `Test`. https://challenge.isic-archive.com/landing/2018
    """
    parts = (
        *_parts("train", "Training"),
        *_parts("validation", "Validation"),
        *_parts("test", "Test"),
    )
    return list_challenge("isic2018", folder, parts, read_labels)


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read task 3: the column of images and one per class, in any order."""
    classes = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    return one_hot_labels(path, HAM10000_CODES, classes)


ISIC2018 = Source(
    "isic2018",
    list_isic2018,
    licence="CC-BY-NC-4.0",
    attribution="Codella et al. Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge"
    f" Hosted by ISIC. arXiv:1902.03368; {HAM10000_CITATION}",
    vocabulary=HAM10000_CODES,
    label_files=(
        LabelFile(
            read_labels,
            columns=frozenset({"MEL", "AKIEC"}),
            classes=tuple(HAM10000_CODES.values()),
        ),
    ),
    archive="isic",
)
