"""The ISIC challenges of 2016 to 2020, and HAM10000, in their official layouts.

Layouts are those that the archives of https://challenge.isic-archive.com/data unpack to, all into
one folder. Of each, any parts may be absent: what is there is listed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from melanoma_tf.datasets.challenge import Part, join_images, list_challenge, listing
from melanoma_tf.datasets.labels import (
    duplicate_pairs,
    ham10000_labels,
    isic2016_labels,
    isic2017_labels,
    isic2018_labels,
    isic2019_labels,
    isic2020_labels,
)
from melanoma_tf.datasets.layout import (
    first_file,
    image_folders,
    images_in,
    layout_error,
    masks_in,
    require_folder,
)
from melanoma_tf.datasets.lesion import Listing

_SPLITS = {"train": "Training", "validation": "Validation", "test": "Test"}


def _isic2016_part(split: str, name: str) -> Part:
    prefix = "ISBI2016_ISIC_Part"
    return Part(
        split,
        images=tuple(f"{prefix}{part}_{name}_Data" for part in ("3", "3B", "1")),
        masks=f"{prefix}1_{name}_GroundTruth",
        labels=tuple(f"{prefix}{part}_{name}_GroundTruth.csv" for part in ("3", "3B")),
    )


def _isic2017_part(split: str, name: str) -> Part:
    prefix = f"ISIC-2017_{name}"
    return Part(
        split,
        images=(f"{prefix}_Data",),
        masks=f"{prefix}_Part1_GroundTruth",
        labels=(f"{prefix}_Part3_GroundTruth.csv",),
        metadata=f"{prefix}_Data_metadata.csv",
    )


def _isic2018_parts(split: str, name: str) -> tuple[Part, Part]:
    return (
        Part(
            split,
            images=(f"ISIC2018_Task3_{name}_Input",),
            # Officially the two tasks have different images; masks that fit are welcome.
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


_ISIC2016 = (_isic2016_part("train", "Training"), _isic2016_part("test", "Test"))
_ISIC2017 = (
    _isic2017_part("train", "Training"),
    _isic2017_part("validation", "Validation"),
    _isic2017_part("test", "Test_v2"),
)
_ISIC2018 = tuple(part for item in _SPLITS.items() for part in _isic2018_parts(*item))
_ISIC2019 = tuple(
    Part(
        split,
        images=(f"ISIC_2019_{name}_Input",),
        labels=(f"ISIC_2019_{name}_GroundTruth.csv",),
        metadata=f"ISIC_2019_{name}_Metadata.csv",
    )
    for split, name in (("train", "Training"), ("test", "Test"))
)
_ISIC2020 = (
    Part(
        "train",
        # JPEG before DICOM, of the archive's own folders and of the competition's on Kaggle.
        images=(
            "train",
            "ISIC_2020_Training_JPEG",
            "ISIC_2020_Training_JPEG/train",
            "jpeg/train",
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
    ),
)


def list_isic2016(folder: Path) -> Listing:
    """ISIC 2016, parts 1 (masks), 3 and 3B (benign or melanoma); training and test.

    `ISBI2016_ISIC_Part3_Training_Data/ISIC_0000000.jpg`,
    `ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png`,
    `ISBI2016_ISIC_Part3_Training_GroundTruth.csv` (no header), and the same with `Test`. Part 3B
    has its masks among the images. https://challenge.isic-archive.com/landing/2016/39
    """
    return list_challenge("isic2016", folder, _ISIC2016, isic2016_labels)


def list_isic2017(folder: Path) -> Listing:
    """ISIC 2017, parts 1 (masks) and 3 (three diagnoses); training, validation, test.

    `ISIC-2017_Training_Data/ISIC_0000000.jpg` (with `ISIC-2017_Training_Data_metadata.csv`),
    `ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png`,
    `ISIC-2017_Training_Part3_GroundTruth.csv`, and the same with `Validation` and `Test_v2`.
    https://challenge.isic-archive.com/landing/2017/44
    """
    return list_challenge("isic2017", folder, _ISIC2017, isic2017_labels)


def list_isic2018(folder: Path) -> Listing:
    """ISIC 2018, tasks 1 (masks) and 3 (seven diagnoses); training, validation, test.

    Task 3: `ISIC2018_Task3_Training_Input/ISIC_0024306.jpg`,
    `ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv`, lesions from
    `ISIC2018_Task3_Training_LesionGroupings.csv`. Task 1 has other images:
    `ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg`,
    `ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png`, diagnosis `unknown`. The
    same with `Validation` and `Test`. https://challenge.isic-archive.com/landing/2018
    """
    return list_challenge("isic2018", folder, _ISIC2018, isic2018_labels)


def list_isic2019(folder: Path) -> Listing:
    """ISIC 2019, eight diagnoses and UNK; training and test.

    `ISIC_2019_Training_Input/ISIC_0000000.jpg`, `ISIC_2019_Training_GroundTruth.csv`,
    `ISIC_2019_Training_Metadata.csv`, and the same with `Test`. 2,074 images of earlier years
    are called `ISIC_0000017_downsampled`. https://challenge.isic-archive.com/landing/2019
    """
    return list_challenge("isic2019", folder, _ISIC2019, isic2019_labels)


def list_isic2020(folder: Path) -> Listing:
    """ISIC 2020, JPEG or DICOM; training, since no truth of the test part is public.

    `train/ISIC_0015719.jpg` or `ISIC_2020_Training_Dicom/ISIC_0015719.dcm`,
    `ISIC_2020_Training_GroundTruth.csv` or its second version, and the official list of duplicates,
    `ISIC_2020_Training_Duplicates.csv`, which becomes the listing's links.
    https://challenge2020.isic-archive.com
    """
    found = list_challenge("isic2020", folder, _ISIC2020, isic2020_labels)
    duplicates = first_file(folder, "ISIC_2020_Training_Duplicates.csv")
    return found if duplicates is None else replace(found, links=duplicate_pairs(duplicates))


def list_ham10000(folder: Path) -> Listing:
    """HAM10000, seven diagnoses, images grouped by lesion; no split of its own: `train`.

    `HAM10000_images_part_1/ISIC_0024306.jpg` and `HAM10000_images_part_2` (or all of them in
    `HAM10000_images`), `HAM10000_metadata.csv` (or `.tab`, as the Dataverse converts it),
    `HAM10000_segmentations_lesion_tschandl/ISIC_0024306_segmentation.png`.
    https://doi.org/10.7910/DVN/DBW86T
    """
    require_folder(folder, "ham10000")
    names = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
    path = first_file(folder, *names)
    if path is None:
        raise layout_error("ham10000", folder, names[0])
    images = ("HAM10000_images", "HAM10000_images_part_1", "HAM10000_images_part_2")
    lower = tuple(name.lower() for name in images)
    lesions, missing = join_images(
        "ham10000",
        "train",
        ham10000_labels(path),
        images_in(*image_folders(folder, *images, *lower)),
        masks_in(*image_folders(folder, "HAM10000_segmentations_lesion_tschandl")),
    )
    return listing("ham10000", lesions, missing)
