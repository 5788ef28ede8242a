"""The data of the ISIC 2017 experiment: which sets are there, and how they are split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.workflows.experiment_data import (
    DIVIDED,
    KEPT_TEST,
    OFFICIAL,
    ExperimentData,
    class_counts,
    missing_images,
)

TAXONOMY = "isic2017"
MAIN, FURTHER = "isic2017", ("ph2", "dermofit")
SOURCES = (MAIN, *FURTHER)
# Images that the paper took from each set, Bisla et al. 2019, Figure 7.
PAPER_SOURCES: Mapping[str, Mapping[str, int]] = {
    "isic2017": {"melanoma": 803, "nevus": 2107, "seborrheic_keratosis": 288},
    "ph2": {"melanoma": 40, "nevus": 80, "seborrheic_keratosis": 0},
    "dermofit": {"melanoma": 76, "nevus": 331, "seborrheic_keratosis": 257},
}

_NONE_KEPT: tuple[str, ...] = ()


def read_data(folders: Mapping[str, Path]) -> ExperimentData:
    """List the data sets, decide on the splits, and name what the paper had and is missing.

    With official test images they are the test set, as in the paper. Without, the official
    validation images are, and a tenth of the rest chooses the epochs. Without both, everything is
    divided 0.7/0.15/0.15 by patient and lesion.

    Raises:
        MelanomaError: a folder has another layout.
    """
    main = list_source(MAIN, folders[MAIN])
    present = {lesion.split for lesion in main.lesions}
    notes = []
    split, keep = DIVIDED, _NONE_KEPT
    if {"validation", "test"} <= present:
        split = OFFICIAL
    elif present & {"validation", "test"}:
        split, keep = KEPT_TEST, (f"test={MAIN}",)
        if "test" not in present:
            main = _validation_as_test(main)
            notes.append(
                "There are no official test images with labels: the official validation images are "
                "the test set, and a tenth of the others chooses the epochs."
            )
        else:
            notes.append("There are no official validation images: a tenth of the others is used.")
    else:
        notes.append(
            "There are no official validation and test images: all images are divided "
            f"{DIVIDED} by patient and lesion."
        )
    further = [list_source(name, folders[name]) for name in FURTHER if name in folders]
    listings = (main, *further)
    notes += [*_missing_sets(listings), *missing_images(listings), *_counts(listings)]
    return ExperimentData(dict(folders), listings, TAXONOMY, split, keep, tuple(notes))


def _validation_as_test(listing: Listing) -> Listing:
    lesions = tuple(
        lesion.with_split("test") if lesion.split == "validation" else lesion
        for lesion in listing.lesions
    )
    return dataclasses.replace(listing, lesions=lesions)


def _missing_sets(listings: Sequence[Listing]) -> list[str]:
    """Name the data sets that are absent."""
    present = [listing.name for listing in listings]
    notes = []
    for name in FURTHER:
        if name not in present:
            counts = ", ".join(
                f"{count:,} {class_name.replace('_', ' ')}"
                for class_name, count in PAPER_SOURCES[name].items()
                if count
            )
            notes.append(f"{name} is missing; the paper trained on its images too: {counts}.")
    return notes


def _counts(listings: Sequence[Listing]) -> list[str]:
    """Compare the images of each class with the paper's, which has no test images among them."""
    notes = []
    for listing in listings:
        found = class_counts(listing, TAXONOMY)
        words = "; ".join(
            f"{name.replace('_', ' ')} {found[name]:,} ({paper:,})"
            for name, paper in PAPER_SOURCES[listing.name].items()
        )
        notes.append(f"{listing.name}: images outside of the test set (in the paper): {words}.")
    return notes
