"""The data of the ISIC 2018 experiment: HAM10000 or the challenge's own folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.lesion import Listing, taxonomy_named
from melanoma_tf.workflows.experiment_data import (
    DIVIDED,
    KEPT_TEST,
    OFFICIAL,
    ExperimentData,
    missing_images,
)

TAXONOMY = "isic2018"
CHALLENGE, TRAINING = "isic2018", "ham10000"
SOURCES = (CHALLENGE, TRAINING)

_NONE_KEPT: tuple[str, ...] = ()


def read_data(folders: Mapping[str, Path]) -> ExperimentData:
    """List the data sets and decide on the splits.

    The training images are those of ISIC 2018 or of HAM10000, which are the same. With official
    test images and labels those are the test set, and the official validation images or else a
    tenth of the others chooses the epochs. Without, everything is divided 0.7/0.15/0.15 by lesion.

    Raises:
        MelanomaError: a folder has another layout, or both hold training images, or neither does.
    """
    listings = tuple(list_source(name, folders[name]) for name in SOURCES if name in folders)
    with_training = [each.name for each in listings if "train" in _splits(each)]
    if len(with_training) != 1:
        found = " and ".join(with_training) or "none"
        raise MelanomaError(
            f"expected training images with labels in one of {', '.join(folders)}; found {found}: "
            "those of ISIC 2018 are HAM10000"
        )
    present = set().union(*map(_splits, listings))
    split, keep, note = DIVIDED, _NONE_KEPT, ""
    if {"validation", "test"} <= present:
        split = OFFICIAL
    elif "test" in present:
        split, keep = KEPT_TEST, (f"test={CHALLENGE}",)
        note = "There are no official validation images: a tenth of the others is used."
    else:
        note = (
            "There are no official test images with labels: all images are divided "
            f"{DIVIDED} by patient and lesion."
        )
    notes = (*([note] if note else []), *missing_images(listings))
    return ExperimentData(dict(folders), listings, TAXONOMY, split, keep, notes)


def _splits(listing: Listing) -> set[str]:
    """The splits that hold an image of the seven classes."""
    label = taxonomy_named(TAXONOMY).label
    return {each.split for each in listing.lesions if label(each.diagnosis) is not None}
