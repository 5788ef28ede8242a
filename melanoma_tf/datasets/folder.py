"""Images sorted into one folder per class: one's own, and Dermofit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_tf.datasets.challenge import listing
from melanoma_tf.datasets.diagnoses import diagnosis_of, slug
from melanoma_tf.datasets.layout import files_by_stem, layout_error, require_folder, split_named
from melanoma_tf.datasets.lesion import Lesion, Listing

_MASK_ENDINGS = ("_segmentation", "_mask", "mask")


@dataclass(frozen=True)
class FolderSettings:
    """Options of the source `folder`.

    Attributes:
        name: the source's name in the records; ids hold within sources of one name.
        masks: folder with a mask for each image, under the image's own name or with
            `_segmentation` or `_mask` behind it. Masks may also lie beside the images.
        licence: of the images.
        attribution: whom to cite.
    """

    name: str = "folder"
    masks: str = "masks"
    licence: str = "not stated"
    attribution: str = "not stated"


def list_folder(folder: Path, settings: FolderSettings | None = None) -> Listing:
    """`DIR/melanoma/a.jpg`, or `DIR/train/melanoma/a.jpg` where the images are split already.

    A class folder's name may be any diagnosis or code of `diagnoses.CODES["words"]`; another name
    is kept as it is and has no class. The key is the file's name; where it repeats in several
    folders, they go before it.

    Raises:
        MelanomaError: there is no image in a class folder.
    """
    settings = settings or FolderSettings()
    require_folder(folder, settings.name)
    lesions: list[Lesion] = []
    for parent, split in _split_folders(folder):
        for path in _subfolders(parent):
            if path.name == settings.masks:
                continue
            diagnosis = diagnosis_of("words", path.name) or slug(path.name)
            masks = _masks_by_image(folder / settings.masks / path.name)
            lesions += _class_lesions([path], diagnosis, settings.name, split, masks)
    if not lesions:
        raise layout_error(settings.name, folder, "images in one folder per class")
    lesions = _with_flat_masks(lesions, _masks_by_image(folder / settings.masks))
    return Listing(
        settings.name,
        tuple(_told_apart(lesions, folder)),
        (),
        settings.licence,
        settings.attribution,
    )


def list_dermofit(folder: Path) -> Listing:
    """Dermofit Image Library, ten classes, with masks; no split of its own: `train`.

    One folder per class, under its name or its short name (AK, BCC, ML, SK, SCC, IEC, PYO, VASC,
    DF, MEL), in it `A1.png` and `A1mask.png`, or each pair in a folder of its own.
    https://homepages.inf.ed.ac.uk/rbf/DERMOFIT

    Raises:
        MelanomaError: a folder's name is no class of the library, or there is no image.
    """
    require_folder(folder, "dermofit")
    lesions: list[Lesion] = []
    for path in _subfolders(folder):
        diagnosis = diagnosis_of("dermofit", path.name)
        if diagnosis is None:
            raise layout_error("dermofit", folder, "one folder per class, such as BCC or MEL")
        lesions += _class_lesions([path, *_subfolders(path)], diagnosis, "dermofit", "train", {})
    if not lesions:
        raise layout_error("dermofit", folder, "images in one folder per class")
    return listing("dermofit", _told_apart(lesions, folder), ())


def _class_lesions(
    folders: list[Path], diagnosis: str, source: str, split: str, masks: dict[str, Path]
) -> list[Lesion]:
    """The images directly in the folders, with the masks beside them or else out of `masks`."""
    found = []
    for folder in folders:
        files = files_by_stem(folder)
        beside = {
            image: path for stem, path in files.items() if (image := _image_of(stem)) in files
        }
        used = set(beside.values())
        found += [
            Lesion(stem, path, beside.get(stem) or masks.get(stem), diagnosis, source, split)
            for stem, path in files.items()
            if path not in used
        ]
    return found


def _image_of(stem: str) -> str:
    """The name without a mask's ending."""
    ending = next((end for end in _MASK_ENDINGS if stem.lower().endswith(end)), "")
    return stem[: len(stem) - len(ending)] if ending else ""


def _masks_by_image(folder: Path) -> dict[str, Path]:
    return {_image_of(stem) or stem: path for stem, path in files_by_stem(folder).items()}


def _with_flat_masks(lesions: list[Lesion], masks: dict[str, Path]) -> list[Lesion]:
    """Masks of one folder for all classes; a name that several images bear has none there."""
    counts = Counter(lesion.key for lesion in lesions)
    return [
        replace(lesion, mask_path=lesion.mask_path or masks.get(lesion.key))
        if counts[lesion.key] == 1
        else lesion
        for lesion in lesions
    ]


def _split_folders(folder: Path) -> list[tuple[Path, str]]:
    """Where the class folders lie: in folders that are called after splits, else here."""
    named = [(path, split) for path in _subfolders(folder) if (split := split_named(path.name))]
    return named or [(folder, "train")]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _told_apart(lesions: list[Lesion], root: Path) -> list[Lesion]:
    """Keys that repeat get the names of their folders before them."""
    counts = Counter(lesion.key for lesion in lesions)
    return [
        lesion if counts[lesion.key] == 1 else replace(lesion, key=_path_key(lesion, root))
        for lesion in lesions
    ]


def _path_key(lesion: Lesion, root: Path) -> str:
    return "_".join(lesion.image_path.relative_to(root).with_suffix("").parts)
