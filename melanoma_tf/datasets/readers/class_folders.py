"""Images sorted into one folder per class, with masks next to them or in a folder of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from melanoma_tf.datasets.image_files import files_by_stem
from melanoma_tf.datasets.lesion import Lesion

_MASK_ENDINGS = ("_segmentation", "_mask", "mask")


def class_lesions(
    folders: Iterable[Path],
    diagnosis: str,
    source: str,
    *,
    split: str = "train",
    masks: Mapping[str, Path] | None = None,
) -> list[Lesion]:
    """List the images directly in some folders, all of one diagnosis.

    Masks next to the images are preferred to those in `masks`, by image name.
    """
    found = []
    for folder in folders:
        files = files_by_stem(folder)
        adjacent = {
            image: path for stem, path in files.items() if (image := _image_of(stem)) in files
        }
        used = set(adjacent.values())
        found += [
            Lesion(
                stem, path, adjacent.get(stem) or (masks or {}).get(stem), diagnosis, source, split
            )
            for stem, path in files.items()
            if path not in used
        ]
    return found


def masks_by_image(folder: Path) -> dict[str, Path]:
    """Map image names to the masks in a folder, with or without a mask's ending."""
    return {_image_of(stem) or stem: path for stem, path in files_by_stem(folder).items()}


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted; hidden ones are left out."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def with_unique_keys(lesions: Sequence[Lesion], root: Path) -> tuple[Lesion, ...]:
    """Prefix keys that repeat with the names of their folders below `root`."""
    counts = Counter(lesion.key for lesion in lesions)
    return tuple(
        lesion if counts[lesion.key] == 1 else replace(lesion, key=_path_key(lesion, root))
        for lesion in lesions
    )


def _image_of(stem: str) -> str:
    """Return the name without a mask's ending, "" if it has none."""
    ending = next((end for end in _MASK_ENDINGS if stem.lower().endswith(end)), "")
    return stem[: len(stem) - len(ending)] if ending else ""


def _path_key(lesion: Lesion, root: Path) -> str:
    return "_".join(lesion.image_path.relative_to(root).with_suffix("").parts)
