"""The image files that a user names: files, and those of folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def find_images(inputs: Iterable[Path]) -> list[Path]:
    """The image files among files and folders (not their sub-folders), sorted within a folder.

    Raises:
        MelanomaError: a path does not exist, or a folder has no image.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            images = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not images:
                raise MelanomaError(
                    f"{path}: expected {', '.join(IMAGE_SUFFIXES)} files, found none"
                )
            found.extend(images)
        elif path.is_file():
            found.append(path)
        else:
            raise MelanomaError(f"expected an image or a folder of images; {path} does not exist")
    return found
