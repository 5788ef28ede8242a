"""Pack ISIC 2017 images and masks into one small file for training on another machine.

    python scripts/gpu/pack_isic2017.py shared/data/isic2017-full packed.npz --whole isic2017

Images and masks are squeezed to squares of one size. A folder of reduced copies may hold *cropped*
photographs: the central square of the original, stretched to the aspect of the mask. These are
recognised by the length of their long side (`--cropped-px`); their masks are cut to the same
square, so that image and mask show the same skin.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
PARTS = ("Training", "Validation")


def read_labels(path: Path) -> dict[str, int]:
    """Map image ids to class indices, as `ISIC-2017_*_Part3_GroundTruth.csv` gives them."""
    labels = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            melanoma, keratosis = float(row["melanoma"]), float(row["seborrheic_keratosis"])
            labels[row["image_id"]] = 0 if melanoma else 2 if keratosis else 1
    return labels


def squares(image: np.ndarray, mask: np.ndarray, size_px: int, cropped_px: int) -> tuple:
    """Squeeze an image and its mask to squares that show the same skin."""
    if max(image.shape[:2]) == cropped_px:
        height, width = mask.shape
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        mask = mask[top : top + side, left : left + side]
    size = (size_px, size_px)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.resize(
        mask, size, interpolation=cv2.INTER_NEAREST
    )


def pack(folder: Path, part: str, size_px: int, quality: int, cropped_px: int) -> list[tuple]:
    """List `(id, part, label, encoded image, mask bits)` of one part of the data set."""
    labels = read_labels(folder / f"ISIC-2017_{part}_Part3_GroundTruth.csv")
    rows = []
    for path in sorted((folder / f"ISIC-2017_{part}_Data").glob("*.jpg")):
        mask_path = folder / f"ISIC-2017_{part}_Part1_GroundTruth" / f"{path.stem}_segmentation.png"
        image, mask = squares(
            cv2.imread(str(path)), cv2.imread(str(mask_path), 0), size_px, cropped_px
        )
        encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
        rows.append((path.stem, part.lower(), labels[path.stem], encoded, np.packbits(mask > 128)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="ISIC 2017 in the official layout")
    parser.add_argument("output", type=Path)
    parser.add_argument("--whole", type=Path, action="append", default=[])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--cropped-px", type=int, default=384)
    given = parser.parse_args()
    rows = []
    for folder in (given.folder, *given.whole):
        cropped_px = given.cropped_px if folder == given.folder else 0
        for part in PARTS:
            if (folder / f"ISIC-2017_{part}_Data").is_dir():
                rows += pack(folder, part, given.size, given.quality, cropped_px)
    ids, parts, labels, encoded, masks = zip(*rows)
    np.savez_compressed(
        given.output,
        ids=np.array(ids),
        parts=np.array(parts),
        labels=np.array(labels, np.int64),
        sizes=np.array([len(each) for each in encoded]),
        images=np.concatenate([each.ravel() for each in encoded]),
        masks=np.stack(masks),
    )
    print(len(rows), "images,", given.output.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
