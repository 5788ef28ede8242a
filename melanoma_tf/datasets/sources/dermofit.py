"""Dermofit Image Library: ten classes, with masks."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.diagnoses import diagnosis_of
from melanoma_tf.datasets.image_files import scan_images
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.class_folders import (
    ClassFolders,
    subfolders,
    unprintable_folders,
    with_unique_keys,
)
from melanoma_tf.datasets.readers.folders import layout_error, require_folder
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.vocabularies import DERMOFIT_WORDS


def list_dermofit(folder: Path) -> Listing:
    """List the Dermofit Image Library, ten classes, with masks; it has no split: `train`.

    One folder per class, under its name or its short name (AK, BCC, ML, SK, SCC, IEC, PYO, VASC,
    DF, MEL), in it `A1.png` and `A1mask.png`, or each pair in a folder of its own.
    https://homepages.inf.ed.ac.uk/rbf/DERMOFIT

    Raises:
        MelanomaError: a folder is not named after a class of the library, or has no image.
    """
    require_folder(folder, "dermofit")
    found = ClassFolders("dermofit")
    for path in subfolders(folder):
        diagnosis = diagnosis_of(DERMOFIT_WORDS, path.name)
        if diagnosis is None:
            raise layout_error("dermofit", folder, "one folder per class, such as BCC or MEL")
        found.add([path, *subfolders(path)], diagnosis)
    if not found.lesions:
        raise layout_error("dermofit", folder, "images in one folder per class")
    beside = scan_images(folder)
    return Listing(
        "dermofit",
        with_unique_keys(found.lesions, folder),
        unlabelled=tuple(beside.images),
        passed_over=(
            *beside.passed_over,
            *found.passed_over,
            *unprintable_folders(folder),
        ),
    )


DERMOFIT = Source(
    "dermofit",
    list_dermofit,
    licence="Dermofit licence agreement (University of Edinburgh), no redistribution",
    attribution="Ballerini, Fisher, Aldridge, Rees. A Color and Texture Based Hierarchical K-NN"
    " Approach to the Classification of Non-melanoma Skin Lesions. Color Medical Image Analysis"
    " (2013), doi:10.1007/978-94-007-5389-1_4",
    vocabulary=DERMOFIT_WORDS,
)
