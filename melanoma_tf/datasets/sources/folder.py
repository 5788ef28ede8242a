"""The user's own images in one folder per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.image_files import (
    NOT_SEARCHED,
    ImageScan,
    PassedOver,
    scan_images,
    scan_masks,
)
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.class_folders import (
    ClassFolders,
    subfolders,
    unprintable_folders,
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
    found = ClassFolders(settings.name)
    masks = folder / settings.masks
    for parent, split in _split_folders(folder):
        for path in subfolders(parent):
            if path.name != settings.masks:
                own = scan_masks(masks / path.name)
                found.passed_over += own.passed_over
                found.add([path], own_diagnosis(path.name), split=split, masks=own.masks)
    if not found.lesions:
        raise layout_error(settings.name, folder, "images in one folder per class")
    flat, beside = scan_masks(masks), _beside(folder, masks)
    return Listing(
        settings.name,
        with_unique_keys(_with_flat_masks(found.lesions, flat.masks), folder),
        licence=settings.licence,
        attribution=settings.attribution,
        unlabelled=tuple(beside.images),
        passed_over=(*beside.passed_over, *found.passed_over, *flat.passed_over),
    )


def _beside(folder: Path, masks: Path) -> ImageScan:
    """What lies beside the class folders; of split folders, what lies in and beside them."""
    splits = [path for path, _ in _split_folders(folder)]
    files = scan_images(*dict.fromkeys((folder, *splits)))
    unused = [path for path in files.folders if path.parent not in splits]
    unused = [path for path in unused if path not in (*splits, masks) and path.name.isprintable()]
    passed = [
        *files.passed_over,
        *(PassedOver(path, NOT_SEARCHED) for path in unused),
        *unprintable_folders(*dict.fromkeys((folder, *splits))),
    ]
    return ImageScan(files.images, passed_over=tuple(passed))


def _with_flat_masks(lesions: list[Lesion], masks: Mapping[str, Path]) -> list[Lesion]:
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
