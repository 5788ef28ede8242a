"""The user's own images in one folder per class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.class_folders import (
    class_lesions,
    masks_by_image,
    subfolders,
    with_unique_keys,
)
from melanoma_tf.datasets.readers.folders import layout_error, require_folder, split_named
from melanoma_tf.datasets.readers.own_data import OwnDataSettings, own_diagnosis
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.vocabularies import ANY_WORDS


@dataclass(frozen=True)
class FolderSettings(OwnDataSettings):
    """Options of the source `folder`; see also `OwnDataSettings`.

    Attributes:
        masks: folder with a mask for each image, named after the image, with or without
            `_segmentation` or `_mask` behind the name. Masks may also lie next to the images.
    """

    name: str = "folder"
    masks: str = "masks"


def list_folder(folder: Path, settings: FolderSettings | None = None) -> Listing:
    """List `DIR/melanoma/a.jpg`, or `DIR/train/melanoma/a.jpg` if the images are split.

    The name of a class folder may be any diagnosis or code of `vocabularies.ANY_WORDS`; another
    name is kept and has no class. The key is the file's name; if it repeats in several folders,
    their names precede it.

    Raises:
        MelanomaError: no class folder contains an image.
    """
    settings = settings or FolderSettings()
    require_folder(folder, settings.name)
    lesions: list[Lesion] = []
    for parent, split in _split_folders(folder):
        for path in subfolders(parent):
            if path.name != settings.masks:
                masks = masks_by_image(folder / settings.masks / path.name)
                lesions += class_lesions(
                    [path], own_diagnosis(path.name), settings.name, split=split, masks=masks
                )
    if not lesions:
        raise layout_error(settings.name, folder, "images in one folder per class")
    lesions = _with_flat_masks(lesions, masks_by_image(folder / settings.masks))
    return Listing(
        settings.name,
        with_unique_keys(lesions, folder),
        licence=settings.licence,
        attribution=settings.attribution,
    )


def _with_flat_masks(lesions: list[Lesion], masks: dict[str, Path]) -> list[Lesion]:
    """Add masks from one folder for all classes, except for image names that repeat."""
    counts = Counter(lesion.key for lesion in lesions)
    return [
        replace(lesion, mask_path=lesion.mask_path or masks.get(lesion.key))
        if counts[lesion.key] == 1
        else lesion
        for lesion in lesions
    ]


def _split_folders(folder: Path) -> list[tuple[Path, str]]:
    """List the folders named after splits, else the folder itself as `train`."""
    named = [(path, split) for path in subfolders(folder) if (split := split_named(path.name))]
    return named or [(folder, "train")]


FOLDER = Source("folder", list_folder, settings=FolderSettings, vocabulary=ANY_WORDS)
