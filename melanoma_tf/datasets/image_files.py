"""Image and mask files in folders: which suffixes count, and which file belongs to which name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError

# What OpenCV reads and writes. In order of preference, where two names differ in the suffix only.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
# What a graph of stock TensorFlow ops decodes.
TENSORFLOW_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# Data sets may also come as DICOM, which can be read but not written.
DATASET_SUFFIXES = (*IMAGE_SUFFIXES, ".dcm")

MASK_ENDING = "_segmentation"
# The challenges publish superpixel maps next to their images.
SUPERPIXELS_ENDING = "_superpixels"


def find_images(
    inputs: Iterable[Path], suffixes: Sequence[str] = TENSORFLOW_SUFFIXES
) -> list[Path]:
    """List the image files among files and folders (without sub-folders), sorted in each folder.

    Raises:
        MelanomaError: a path does not exist, or a folder has no image.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            images = sorted(each for each in path.iterdir() if has_suffix(each, suffixes))
            if not images:
                raise MelanomaError(f"{path}: expected {', '.join(suffixes)} files, found none")
            found.extend(images)
        elif path.is_file():
            found.append(path)
        else:
            raise MelanomaError(f"expected an image or a folder of images; {path} does not exist")
    return found


def has_suffix(path: Path, suffixes: Sequence[str]) -> bool:
    """Tell whether a file's suffix is among some, in any letter case."""
    return path.suffix.lower() in suffixes


def refuse_equal_names(paths: Iterable[Path]) -> None:
    """Refuse two images of one name, whose results would be one file.

    Raises:
        MelanomaError: two names differ in folder or suffix only.
    """
    by_name: dict[str, Path] = {}
    for path in paths:
        if by_name.setdefault(path.stem, path) is not path:
            raise MelanomaError(
                f"expected images of different names; found {by_name[path.stem]} and {path}"
            )


def find_mask(folder: Path, image: Path, ending: str = MASK_ENDING) -> Path | None:
    """Find the mask of an image in a folder: `NAME_segmentation.png`, else `NAME.png`.

    Args:
        folder: where masks lie.
        image: the image; only its name counts.
        ending: what the name of a mask has behind the image's name.

    Returns:
        The mask file, or None. An image is never its own mask.
    """
    for name in (f"{image.stem}{ending}.png", f"{image.stem}.png"):
        path = folder / name
        if path.is_file():
            return path if path.resolve() != image.resolve() else None
    return None


def files_by_stem(*folders: Path) -> dict[str, Path]:
    """Map names without suffix to the image files directly in the folders, in order of name.

    Absent folders are empty. Of two files that differ in the suffix only, the one whose suffix
    comes first in `DATASET_SUFFIXES` is taken; of two in different folders, that of the first.
    """
    found: dict[str, Path] = {}
    for folder in filter(Path.is_dir, folders):
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
        paths = [folder / name for name in names if not name.startswith(".")]
        paths = [path for path in paths if has_suffix(path, DATASET_SUFFIXES)]
        for path in sorted(paths, key=lambda path: (path.stem, _preference(path))):
            found.setdefault(path.stem, path)
    return found


def images_in(*folders: Path) -> dict[str, Path]:
    """Map keys to the images directly in the folders; masks and superpixel maps are left out.

    Keys from label files are looked up in this mapping, so no key can reach a file elsewhere.
    """
    others = (MASK_ENDING, SUPERPIXELS_ENDING)
    found = files_by_stem(*folders)
    return {stem: path for stem, path in found.items() if not stem.lower().endswith(others)}


def masks_in(*folders: Path) -> dict[str, Path]:
    """Map keys to the masks `KEY_segmentation.png` in the folders, in any letter case."""
    return {
        stem[: -len(MASK_ENDING)]: path
        for stem, path in files_by_stem(*folders).items()
        if stem.lower().endswith(MASK_ENDING)
    }


def _preference(path: Path) -> int:
    return DATASET_SUFFIXES.index(path.suffix.lower())
