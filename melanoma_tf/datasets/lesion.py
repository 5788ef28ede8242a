"""The rows of a data set, one `Lesion` per image, and the taxonomies that name its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CLASSES, TARGETS, TAXONOMY_NAMES
from melanoma_tf.datasets.image_files import PassedOver

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Lesion:
    """One dermoscopic image with the labels of its data set.

    Attributes:
        key: the image's name in its data set, `ISIC_0000000`.
        image_path: the image file. For images in one HDF5 file, that file as if it were a folder:
            `train-image.hdf5/ISIC_0015670`.
        mask_path: the lesion mask (0 skin, 255 lesion), or None.
        diagnosis: a key of `diagnoses.TARGETS`, or a word that the table lacks, which has no class
            in any taxonomy.
        source: name of the data set, `isic2017`.
        split: `train`, `validation` or `test` as in the data set; `train` if it has no splits.
        lesion_id: images of one lesion share it.
        patient_id: images of one patient share it.
        age: age in years.
        sex: `female` or `male`.
        site: anatomical site, in the source's words.
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
        """Name that is unique across sources: `isic2017/ISIC_0000000`."""
        return f"{self.source}/{self.key}"

    def with_split(self, split: str) -> Lesion:
        """Copy the row into another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class Listing:
    """The images and labels found in a data set's folder.

    Attributes:
        name: name of the source.
        lesions: rows with an image, in the label file's order.
        missing: keys in the label file without an image file.
        licence: short name of the licence; `list_source` fills in that of the source.
        attribution: whom to cite; likewise.
        links: pairs of keys that the source itself declares to show the same picture.
        unlabelled: keys of photographs in the folder that have no row.
        passed_over: other files among the photographs, each with the reason.
        image_types: number of images by type, `dermoscopic` or `clinical: close-up`, where the
            source tells.
    """

    name: str
    lesions: tuple[Lesion, ...]
    missing: tuple[str, ...] = ()
    licence: str = ""
    attribution: str = ""
    links: tuple[tuple[str, str], ...] = ()
    unlabelled: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    image_types: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a task, in the order of the model's outputs.

    Attributes:
        name: `isic2017`.
        classes: class names.
        targets: diagnosis -> class name; an absent diagnosis has no class.
    """

    name: str
    classes: tuple[str, ...]
    targets: dict[str, str]

    def label(self, diagnosis: str) -> int | None:
        """Return the class index of a diagnosis, or None if the taxonomy has no class for it."""
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
    """Return the taxonomy of that name.

    Raises:
        MelanomaError: the name is unknown; the message lists the known ones.
    """
    if name not in TAXONOMIES:
        raise MelanomaError(f"expected a taxonomy out of {', '.join(TAXONOMIES)}; found {name!r}")
    return TAXONOMIES[name]
