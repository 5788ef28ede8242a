"""Which files lie in a data set's folder: images and masks by their key, never by a built path."""

from __future__ import annotations

import os
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError

# In order of preference, where two files of one name differ in this only.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm")
MASK_ENDING = "_segmentation"
_NO_IMAGES = (MASK_ENDING, "_superpixels")
_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def files_by_stem(*folders: Path) -> dict[str, Path]:
    """Files of an image type directly in the folders, by name without suffix, in order of name.

    Absent folders are empty. Of two files that differ in the suffix alone, the one whose suffix
    comes first in `IMAGE_SUFFIXES` is taken; of two in different folders, that of the first.
    """
    found: dict[str, Path] = {}
    for folder in filter(Path.is_dir, folders):
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
        paths = [folder / name for name in names if not name.startswith(".")]
        paths = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
        for path in sorted(paths, key=lambda path: (path.stem, _preference(path))):
            found.setdefault(path.stem, path)
    return found


def images_in(*folders: Path) -> dict[str, Path]:
    """Images directly in the folders, by key.

    Keys from label files are looked up here, so no key can reach a file elsewhere. Masks and
    superpixels, which some challenges put beside the images, are no images.
    """
    found = files_by_stem(*folders)
    return {stem: path for stem, path in found.items() if not stem.lower().endswith(_NO_IMAGES)}


def masks_in(*folders: Path) -> dict[str, Path]:
    """Lesion masks `KEY_segmentation.png` directly in the folders, by key, in any letter case."""
    return {
        stem[: -len(MASK_ENDING)]: path
        for stem, path in files_by_stem(*folders).items()
        if stem.lower().endswith(MASK_ENDING)
    }


def split_named(name: str) -> str | None:
    """The split that a folder or cell of that name means: `train`, `val`, `Testing`; else None."""
    return _SPLIT_NAMES.get(name.strip().lower())


def first_file(folder: Path, *names: str) -> Path | None:
    """The first file of these names in the folder; None where there is none.

    Each is looked for in the folder itself and in the one that its own archive unpacks to.
    """
    candidates = [
        path for name in names for path in (folder / name, folder / Path(name).stem / name)
    ]
    return next((path for path in candidates if path.is_file()), None)


def image_folders(folder: Path, *names: str) -> list[Path]:
    """Those folders of images that are there; an archive unpacked into its own name nests once."""
    nested = [folder / part / Path(part).name for part in names]
    return [path for path in (*(folder / part for part in names), *nested) if path.is_dir()]


def require_folder(folder: Path, source: str) -> None:
    """Raise `MelanomaError` where there is no folder, or nothing in it."""
    if not folder.is_dir():
        raise MelanomaError(f"{source}: expected a folder at {folder}; there is none")
    if not any(folder.iterdir()):
        raise MelanomaError(f"{source}: expected data in {folder}; the folder is empty")


def layout_error(source: str, folder: Path, expected: str) -> MelanomaError:
    """The error that says what was expected in a folder and what lies there instead."""
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return MelanomaError(f"{source}: expected {expected} in {folder}; found {shown}")


def _preference(path: Path) -> int:
    return IMAGE_SUFFIXES.index(path.suffix.lower())
