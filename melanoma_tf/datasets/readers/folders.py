"""The folders and files of a data set by their official names."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import printable

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def split_named(name: str) -> str | None:
    """Return the split that `train`, `val`, `Testing` and the like mean, else None."""
    return _SPLIT_NAMES.get(name.strip().lower())


def first_file(folder: Path, *names: str) -> Path | None:
    """Find the first file of these names in the folder, or None.

    Each may lie in the folder itself or in the one that its own archive unpacks to.
    """
    candidates = [
        path for name in names for path in (folder / name, folder / Path(name).stem / name)
    ]
    return next((path for path in candidates if path.is_file()), None)


def image_folders(folder: Path, *names: str) -> list[Path]:
    """List the folders of these names that exist; an archive may nest one in its own name."""
    nested = [folder / part / Path(part).name for part in names]
    return [path for path in (*(folder / part for part in names), *nested) if path.is_dir()]


def require_folder(folder: Path, source: str) -> None:
    """Check that a data set's folder exists and is not empty.

    Raises:
        MelanomaError: it is absent or empty.
    """
    if not folder.is_dir():
        raise MelanomaError(f"{source}: expected a folder at {folder}; it does not exist")
    if not any(folder.iterdir()):
        raise MelanomaError(f"{source}: expected data in {folder}; the folder is empty")


def layout_error(source: str, folder: Path, expected: str) -> MelanomaError:
    """Make the error that states what was expected in a folder and what it contains."""
    names = sorted(printable(path.name) for path in folder.iterdir())
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return MelanomaError(f"{source}: expected {expected} in {folder}; found {shown}")
