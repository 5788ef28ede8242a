"""Which files lie in a data set's folder: images and masks by their key, never by a built path."""

from __future__ import annotations

import os
from pathlib import Path

from melanoma_tf.errors import MelanomaError

# In order of preference, where two files of one name differ in this only.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm")
MASK_ENDING = "_segmentation"
_NO_IMAGES = (MASK_ENDING, "_superpixels")


def images_in(*folders: Path) -> dict[str, Path]:
    """Image files directly in the folders, by name without suffix; absent folders are empty.

    Keys from label files are looked up here, so no key can reach a file elsewhere. Masks and
    superpixels, which some challenges put beside the images, are no images.
    """
    found: dict[str, Path] = {}
    for path in _files(folders):
        if path.stem.lower().endswith(_NO_IMAGES):
            continue
        known = found.get(path.stem)
        if known is None or _preference(path) < _preference(known):
            found[path.stem] = path
    return found


def masks_in(*folders: Path) -> dict[str, Path]:
    """Lesion masks `KEY_segmentation.png` directly in the folders, by key, in any letter case."""
    return {
        path.stem[: -len(MASK_ENDING)]: path
        for path in _files(folders)
        if path.stem.lower().endswith(MASK_ENDING)
    }


def first_file(folder: Path, name: str) -> Path | None:
    """`folder/name`, or that file inside the folder that its own archive unpacks to; else None."""
    candidates = (folder / name, folder / Path(name).stem / name)
    return next((path for path in candidates if path.is_file()), None)


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


def _files(folders: tuple[Path, ...]) -> list[Path]:
    found = []
    for folder in folders:
        if folder.is_dir():
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file())
            found += [folder / name for name in names if not name.startswith(".")]
    return [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES]


def _preference(path: Path) -> int:
    return IMAGE_SUFFIXES.index(path.suffix.lower())
