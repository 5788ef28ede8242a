"""Pack the variants of a data set's images into one small file, for `experiment.py`.

    python scripts/gpu/pack_experiment.py tfrecords/isic2017 isic.npz --size 160 \\
        --variant raw=images --variant network=purified --masks purified_masks

Images, classes and lesions are those of the splits `train` and `test` of the records. Each variant
is a folder that holds IMAGE.png or IMAGE.jpg; the first one must be `raw` and hold all images, the
others need not, and what is equal to the raw image is not stored. With `--masks`, the training
images of which more than `--min-occlusion` was occluded are noted: `experiment.py` adds their
copies of `network`, as `melanoma-tf purify RECORDS` would. Variants named by `--sparse` are stored
for these and test images alone.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from melanoma_tf.records.read import read_examples


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


def read_table(records: Path) -> list[tuple[str, str, str, str]]:
    """List `(image, class, lesion, split)` of training and test images, by image."""
    found = []
    for split in ("train", "test"):
        for each in read_examples(records, split):
            name = Path(each.key.rsplit("/", 1)[-1]).stem
            found.append((name, each.label_text, each.lesion_id or name, split))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--variant", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--sparse", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--min-occlusion", type=float, default=0.006)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--quality", type=int, default=85)
    given = parser.parse_args()
    table = read_table(given.records)
    names, texts, groups, splits = zip(*table)
    classes = sorted(set(texts))
    is_test = np.array([split == "test" for split in splits])
    copies = np.zeros(len(names), bool)
    if given.masks:
        fractions = np.array([occluded(given.masks, name) for name in names])
        copies = (fractions > given.min_occlusion) & ~is_test
    variants: dict[str, dict[int, np.ndarray]] = {}
    for text in given.variant:
        name, _, folder = text.partition("=")
        found = encode_variant(Path(folder), list(names), given.size, given.quality)
        if name == "raw" and len(found) != len(names):
            raise SystemExit(f"expected {len(names)} images in {folder}; found {len(found)}")
        wanted = is_test | copies if name in given.sparse else np.ones(len(names), bool)
        raw = variants.get("raw", {})
        variants[name] = {
            index: value
            for index, value in found.items()
            if wanted[index] and (index not in raw or not np.array_equal(value, raw[index]))
        }
    arrays = {"copies": np.flatnonzero(copies)}
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
        labels=np.array([classes.index(text) for text in texts]),
        groups=np.array(groups),
        is_test=is_test,
        **arrays,
    )
    print(f"{given.output}: {given.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
