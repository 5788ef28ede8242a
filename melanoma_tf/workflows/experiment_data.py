"""The data sets of an experiment: their folders, their listings, and how they are split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES
from melanoma_tf.datasets.lesion import Listing, taxonomy_named

OFFICIAL, KEPT_TEST, DIVIDED = "official", "0.9/0.1/0", "0.7/0.15/0.15"


@dataclass(frozen=True)
class ExperimentData:
    """The listings of an experiment, and how they are split.

    Attributes:
        folders: by name of the source.
        listings: with the splits that they are to have.
        taxonomy: whose classes are told apart.
        split, keep_split: see `BuildSettings`.
        notes: what differs from the paper's data, a sentence each.
    """

    folders: Mapping[str, Path]
    listings: tuple[Listing, ...]
    taxonomy: str
    split: str
    keep_split: tuple[str, ...]
    notes: tuple[str, ...]

    def images(self) -> int:
        """Count the images of the taxonomy's classes."""
        return sum(
            sum(class_counts(each, self.taxonomy, with_test=True).values())
            for each in self.listings
        )

    def training_images(self, class_name: str) -> int:
        """Estimate the training images of a class; duplicates are not known yet."""
        taxonomy = taxonomy_named(self.taxonomy)
        label = taxonomy.classes.index(class_name)
        count = sum(
            lesion.split == "train" and taxonomy.label(lesion.diagnosis) == label
            for listing in self.listings
            for lesion in listing.lesions
        )
        fraction = 1.0 if self.split == OFFICIAL else float(self.split.split("/")[0])
        return int(count * fraction)


def find_folders(
    given: Sequence[str], sources: Sequence[str], one_of: Sequence[str]
) -> dict[str, Path]:
    """Read `NAME=DIR`, or a folder that holds folders of these names.

    Args:
        given: by the user.
        sources: the names that there are.
        one_of: of these, at least one must be there.

    Raises:
        MelanomaError: an unknown name, a name that is given twice, a folder without any of them, or
            none of `one_of`.
    """
    found: dict[str, Path] = {}
    for text in given:
        name, separator, rest = text.partition("=")
        if separator and rest and name in sources:
            folders = {name: Path(rest)}
        elif separator and not Path(text).is_dir():
            raise MelanomaError(
                f"expected NAME=DIR, NAME out of {', '.join(sources)}; found {text!r}"
            )
        else:
            folders = {each: Path(text) / each for each in sources if (Path(text) / each).is_dir()}
            if not folders:
                raise MelanomaError(
                    f"expected folders named {', '.join(sources)} in {text}; found none: give "
                    f"--data {one_of[0]}=DIR"
                )
        repeated = sorted(folders.keys() & found.keys())
        if repeated:
            raise MelanomaError(f"expected each data set once; found {repeated[0]} twice")
        found |= folders
    if not set(one_of) & found.keys():
        wanted = " or ".join(f"--data {name}=DIR" for name in one_of)
        raise MelanomaError(f"expected {wanted}; found {', '.join(found) or 'no data'}")
    return {name: found[name] for name in sources if name in found}


def missing_images(listings: Sequence[Listing]) -> list[str]:
    """Say how many rows of the labels have no image."""
    return [
        f"{listing.name}: {len(listing.missing):,} rows of the labels have no image."
        for listing in listings
        if listing.missing
    ]


def class_counts(listing: Listing, taxonomy: str, *, with_test: bool = False) -> dict[str, int]:
    """Count the images by class, those of the test set if asked for."""
    label = taxonomy_named(taxonomy).label
    counts = Counter(
        label(lesion.diagnosis) for lesion in listing.lesions if with_test or lesion.split != "test"
    )
    return {name: counts[index] for index, name in enumerate(CLASSES[taxonomy])}
