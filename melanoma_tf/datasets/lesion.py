"""What a data set is made of: one `Lesion` per image, and the taxonomies that name its class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES, TARGETS, TAXONOMY_NAMES

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Lesion:
    """One dermoscopic image with what its data set says of it.

    Attributes:
        key: the image's name in its data set, `ISIC_0000000`.
        image_path: the image file. Where the images lie in one HDF5 file, that file as if it were a
            folder: `train-image.hdf5/ISIC_0015670`.
        mask_path: the lesion mask (0 skin, 255 lesion), where there is one.
        diagnosis: a key of `diagnoses.TARGETS`, whatever the source calls it; where that table does
            not know the source's word, the word itself, which then has a class in no taxonomy.
        source: the data set's name, `isic2017`.
        split: `train`, `validation` or `test`, as the data set gives it; `train` where it gives
            none.
        lesion_id: images of one lesion share it.
        patient_id: images of one patient share it.
        age: in years.
        sex: `female` or `male`.
        site: anatomical site in the source's words.
    """

    key: str
    image_path: Path
    mask_path: Path | None
    diagnosis: str
    source: str
    split: str
    lesion_id: str | None = None
    patient_id: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None

    @property
    def name(self) -> str:
        """What tells the image from all others, of whatever source: `isic2017/ISIC_0000000`."""
        return f"{self.source}/{self.key}"

    def with_split(self, split: str) -> Lesion:
        """A copy that stands in another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class Listing:
    """What an adapter found in a data set's folder.

    Attributes:
        name: the source's name.
        lesions: rows with an image, in the label file's order.
        missing: keys that the label file names and that have no image file.
        licence: short name of the data's licence.
        attribution: whom to cite.
        links: pairs of keys that the source itself declares to show the same picture.
    """

    name: str
    lesions: tuple[Lesion, ...]
    missing: tuple[str, ...]
    licence: str
    attribution: str
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a task, in the order of the model's outputs.

    Attributes:
        name: `isic2017`.
        classes: class names.
        targets: diagnosis -> class name; a diagnosis that is absent has no class here.
    """

    name: str
    classes: tuple[str, ...]
    targets: dict[str, str]

    def label(self, diagnosis: str) -> int | None:
        """The class index of a diagnosis, or None where the taxonomy has no class for it."""
        target = self.targets.get(diagnosis)
        return None if target is None else self.classes.index(target)


TAXONOMIES = {
    name: Taxonomy(
        name,
        CLASSES[name],
        {diagnosis: target for diagnosis, row in TARGETS.items() if (target := row[column])},
    )
    for column, name in enumerate(TAXONOMY_NAMES)
}


def taxonomy_named(name: str) -> Taxonomy:
    """The taxonomy of that name.

    Raises:
        MelanomaError: there is none; the message names those that exist.
    """
    if name not in TAXONOMIES:
        raise MelanomaError(f"expected a taxonomy out of {', '.join(TAXONOMIES)}; found {name!r}")
    return TAXONOMIES[name]
