"""Undo the stretching of reduced copies of ISIC 2017, in a folder of the official layout.

    python scripts/gpu/press_isic2017.py shared/data/isic2017-full data/isic2017-pressed

A folder of reduced copies may hold the *central square* of each photograph, stretched to the aspect
of its mask. These are recognised by the length of their long side (`--cropped-px`) and pressed back
to squares; all others keep their aspect. Generated images would otherwise learn the stretching.
Images and labels are written, not masks.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np

PARTS = ("Training", "Validation")


def pressed(image: np.ndarray, size_px: int, cropped_px: int) -> np.ndarray:
    """Scale to a short side of `size_px`, a stretched square to a square."""
    height, width = image.shape[:2]
    if max(height, width) == cropped_px:
        target = (size_px, size_px)
    else:
        scale = size_px / min(height, width)
        target = (round(scale * width), round(scale * height))
    smaller = target[0] <= width and target[1] <= height
    return cv2.resize(image, target, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="ISIC 2017 in the official layout")
    parser.add_argument("output", type=Path, help="folder to create")
    parser.add_argument("--size", type=int, default=256, help="short side, px")
    parser.add_argument("--cropped-px", type=int, default=384)
    given = parser.parse_args()
    given.output.mkdir(parents=True)
    squares = others = 0
    for part in PARTS:
        labels = f"ISIC-2017_{part}_Part3_GroundTruth.csv"
        shutil.copyfile(given.folder / labels, given.output / labels)
        target = given.output / f"ISIC-2017_{part}_Data"
        target.mkdir()
        for path in sorted((given.folder / target.name).glob("*.jpg")):
            image = cv2.imread(str(path))
            if image is None:
                raise SystemExit(f"{path}: expected an image; it cannot be decoded")
            stretched = max(image.shape[:2]) == given.cropped_px
            squares, others = squares + stretched, others + (not stretched)
            image = pressed(image, given.size, given.cropped_px)
            cv2.imwrite(str(target / path.name), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    print(f"{squares} squares pressed back, {others} images of their own aspect")


if __name__ == "__main__":
    main()
