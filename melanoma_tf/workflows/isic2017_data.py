"""The data of the ISIC 2017 experiment: which sets are there, and how they are split."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.datasets.lesion import Listing, taxonomy_named

TAXONOMY = "isic2017"
MAIN, FURTHER = "isic2017", ("ph2", "dermofit")
SOURCES = (MAIN, *FURTHER)
# Images that the paper took from each set, Bisla et al. 2019, Figure 7.
PAPER_SOURCES: Mapping[str, Mapping[str, int]] = {
    "isic2017": {"melanoma": 803, "nevus": 2107, "seborrheic_keratosis": 288},
    "ph2": {"melanoma": 40, "nevus": 80, "seborrheic_keratosis": 0},
    "dermofit": {"melanoma": 76, "nevus": 331, "seborrheic_keratosis": 257},
}
PAPER_TEST = {"melanoma": 117, "nevus": 393, "seborrheic_keratosis": 90}

_NONE_KEPT: tuple[str, ...] = ()
_OFFICIAL, _KEPT_TEST, _DIVIDED = "official", "0.9/0.1/0", "0.7/0.15/0.15"


@dataclass(frozen=True)
class ExperimentData:
    """The listings of an experiment, and how they are split.

    Attributes:
        folders: by name of the source.
        listings: with the splits that they are to have.
        split, keep_split: see `BuildSettings`.
        notes: what differs from the paper's data, a sentence each.
    """

    folders: Mapping[str, Path]
    listings: tuple[Listing, ...]
    split: str
    keep_split: tuple[str, ...]
    notes: tuple[str, ...]

    def images(self) -> int:
        """Count the images."""
        return sum(len(listing.lesions) for listing in self.listings)

    def training_images(self, class_name: str) -> int:
        """Estimate the training images of a class; duplicates are not known yet."""
        taxonomy = taxonomy_named(TAXONOMY)
        label = taxonomy.classes.index(class_name)
        count = sum(
            lesion.split == "train" and taxonomy.label(lesion.diagnosis) == label
            for listing in self.listings
            for lesion in listing.lesions
        )
        fraction = 1.0 if self.split == _OFFICIAL else float(self.split.split("/")[0])
        return int(count * fraction)


def find_folders(given: Sequence[str]) -> dict[str, Path]:
    """Read `NAME=DIR`, or a folder that holds folders of these names.

    Raises:
        MelanomaError: an unknown name, a name that is given twice, a folder without any of them, or
            no ISIC 2017.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, separator, rest = text.partition("=")
        if separator and rest and name in SOURCES:
            folders = {name: Path(rest)}
        elif separator and not Path(text).is_dir():
            raise MelanomaError(
                f"expected NAME=DIR, NAME out of {', '.join(SOURCES)}; found {text!r}"
            )
        else:
            folders = {each: Path(text) / each for each in SOURCES if (Path(text) / each).is_dir()}
            if not folders:
                raise MelanomaError(
                    f"expected folders named {', '.join(SOURCES)} in {text}; found none: give "
                    f"--data {MAIN}=DIR"
                )
        repeated = sorted(folders.keys() & found.keys())
        if repeated:
            raise MelanomaError(f"expected each data set once; found {repeated[0]} twice")
        found |= folders
    if MAIN not in found:
        raise MelanomaError(f"expected --data {MAIN}=DIR; found {', '.join(found) or 'no data'}")
    return {name: found[name] for name in SOURCES if name in found}


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
    split, keep = _DIVIDED, _NONE_KEPT
    if {"validation", "test"} <= present:
        split = _OFFICIAL
    elif present & {"validation", "test"}:
        split, keep = _KEPT_TEST, (f"test={MAIN}",)
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
            f"{_DIVIDED} by patient and lesion."
        )
    further = [list_source(name, folders[name]) for name in FURTHER if name in folders]
    listings = (main, *further)
    return ExperimentData(
        dict(folders), listings, split, keep, (*notes, *_missing(listings), *_counts(listings))
    )


def _validation_as_test(listing: Listing) -> Listing:
    lesions = tuple(
        lesion.with_split("test") if lesion.split == "validation" else lesion
        for lesion in listing.lesions
    )
    return dataclasses.replace(listing, lesions=lesions)


def _missing(listings: Sequence[Listing]) -> list[str]:
    """Name the data sets and images that are absent."""
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
    notes += [
        f"{listing.name}: {len(listing.missing):,} rows of the labels have no image."
        for listing in listings
        if listing.missing
    ]
    return notes


def _counts(listings: Sequence[Listing]) -> list[str]:
    """Compare the images of each class with the paper's, which has no test images among them."""
    notes = []
    for listing in listings:
        found = class_counts(listing)
        words = "; ".join(
            f"{name.replace('_', ' ')} {found[name]:,} ({paper:,})"
            for name, paper in PAPER_SOURCES[listing.name].items()
        )
        notes.append(f"{listing.name}: images outside of the test set (in the paper): {words}.")
    return notes


def class_counts(listing: Listing) -> dict[str, int]:
    """Count the images outside of the test set by class."""
    taxonomy = taxonomy_named(TAXONOMY)
    counts = Counter(
        taxonomy.label(lesion.diagnosis) for lesion in listing.lesions if lesion.split != "test"
    )
    return {name: counts[index] for index, name in enumerate(CLASSES[TAXONOMY])}
