"""Pack the variants of a data set's images into one small file, for `experiment.py`.

    python scripts/gpu/pack_experiment.py labels.csv isic.npz --size 160 \\
        --variant raw=images --variant network=purified --masks purified_masks

`labels.csv` has the columns `image`, `class` and `part` (training or test). Each variant is a
folder that holds IMAGE.png or IMAGE.jpg; the first one must be `raw` and hold all images, the
others need not, and what is equal to the raw image is not stored. With `--masks`, the variant
`purified copies` holds the training images of `network` of which more than `--min-occlusion` was
occluded, as `melanoma-tf purify RECORDS` would add them.
"""

from __future__ import annotations

import argparse
import csv
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

COPIES = "purified copies"


def find(folder: Path, name: str) -> Path | None:
    """The file of an image, or None."""
    for suffix in (".png", ".jpg"):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    return None


def encode(path: Path, size_px: int, quality: int) -> np.ndarray:
    """Squeeze an image to a square and encode it as WebP."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"expected an image; found none in {path}")
    small = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].ravel()


def encode_variant(
    folder: Path, names: list[str], size_px: int, quality: int
) -> dict[int, np.ndarray]:
    """Map the index of each image that the folder holds to its bytes."""
    rows = {index: find(folder, name) for index, name in enumerate(names)}
    there = {index: path for index, path in rows.items() if path}
    with ThreadPoolExecutor() as pool:
        encoded = pool.map(partial(encode, size_px=size_px, quality=quality), there.values())
        return dict(zip(there, encoded))


def occluded(folder: Path, name: str) -> float:
    """The fraction of an image that its mask covers; 0 without a mask."""
    path = find(folder, name)
    return float((cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127).mean()) if path else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--variant", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--min-occlusion", type=float, default=0.006)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--quality", type=int, default=85)
    given = parser.parse_args()
    with given.labels.open(newline="") as stream:
        table = sorted(csv.DictReader(stream), key=lambda row: row["image"])
    names = [row["image"] for row in table]
    classes = sorted({row["class"] for row in table})
    is_test = np.array([row["part"] == "test" for row in table])
    variants: dict[str, dict[int, np.ndarray]] = {}
    for text in given.variant:
        name, _, folder = text.partition("=")
        found = encode_variant(Path(folder), names, given.size, given.quality)
        if name == "raw" and len(found) != len(names):
            raise SystemExit(f"expected {len(names)} images in {folder}; found {len(found)}")
        raw = variants.get("raw", {})
        variants[name] = {
            index: value
            for index, value in found.items()
            if index not in raw or not np.array_equal(value, raw[index])
        }
    if given.masks:
        fractions = [occluded(given.masks, name) for name in names]
        variants[COPIES] = {
            index: value
            for index, value in variants["network"].items()
            if not is_test[index] and fractions[index] > given.min_occlusion
        }
    arrays = {}
    for name, found in variants.items():
        arrays[f"{name} rows"] = np.array(sorted(found), int)
        arrays[f"{name} sizes"] = np.array([len(found[index]) for index in sorted(found)])
        arrays[f"{name} images"] = np.concatenate([found[index] for index in sorted(found)])
        print(f"{name}: {len(found)} images, {arrays[f'{name} images'].nbytes:,} bytes")
    description = {"classes": classes, "variants": list(variants), "size": given.size}
    np.savez(
        given.output,
        description=np.array(json.dumps(description)),
        names=np.array(names),
        labels=np.array([classes.index(row["class"]) for row in table]),
        is_test=is_test,
        **arrays,
    )
    print(f"{given.output}: {given.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
