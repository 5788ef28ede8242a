"""Images sorted into one folder per class, with masks next to them or in a folder of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from melanoma_tf.datasets.image_files import NOT_SEARCHED, PassedOver, is_hidden, scan_images
from melanoma_tf.datasets.lesion import Lesion

UNPRINTABLE_FOLDER = "folder of a name with control characters, not searched"


@dataclass
class ClassFolders:
    """The images of class folders, and what was passed over, as the folders are read.

    Attributes:
        source: name of the data set.
        lesions: one for each image.
        passed_over: other files and folders in the class folders.
    """

    source: str
    lesions: list[Lesion] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)

    def add(
        self,
        folders: Iterable[Path],
        diagnosis: str,
        *,
        split: str = "train",
        masks: Mapping[str, Path] | None = None,
    ) -> None:
        """Add the images directly in some folders, all of one diagnosis.

        Masks next to the images are preferred to those in `masks`, by image name.
        """
        folders = list(folders)
        for folder in folders:
            files = scan_images(folder)
            self.passed_over += files.passed_over
            self.passed_over += [
                PassedOver(path, NOT_SEARCHED) for path in files.folders if path not in folders
            ]
            for stem, path in files.images.items():
                mask = files.masks.get(stem) or (masks or {}).get(stem)
                self.lesions.append(Lesion(stem, path, mask, diagnosis, self.source, split))


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted.

    Hidden ones and those of macOS are left out, and those of names with control characters, which
    would become part of the names of their images.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name.isprintable() and not is_hidden(path.name)
    )


def unprintable_folders(*folders: Path) -> list[PassedOver]:
    """List the folders that `subfolders` leaves out for the control characters of their names."""
    return [
        PassedOver(path, UNPRINTABLE_FOLDER)
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.isprintable()
    ]


def with_unique_keys(lesions: Sequence[Lesion], root: Path) -> tuple[Lesion, ...]:
    """Prefix keys that repeat with the names of their folders below `root`."""
    counts = Counter(lesion.key for lesion in lesions)
    return tuple(
        lesion if counts[lesion.key] == 1 else replace(lesion, key=_path_key(lesion, root))
        for lesion in lesions
    )


def _path_key(lesion: Lesion, root: Path) -> str:
    return "_".join(lesion.image_path.relative_to(root).with_suffix("").parts)
