"""Squares of ISIC 2017, the same with a ruler, and a table that divides them, for an experiment.

    python scripts/gpu/draw_isic2017.py --data DATA --work work/isic2017
    melanoma-tf build-records --add csv=work/isic2017/images,labels=table.csv,image=file,diagnosis=diagnosis,split=split \\
        --taxonomy isic2017 --split official --duplicates drop --image-size 144 --output tfrecords/experiment

WORK/images holds the central squares of all images of `DATA/isic2017-full`, WORK/ruler those of
melanomas and nevi with a ruler, drawn or real, as in `scripts/benchmarks/planted_ruler.py`. The
table in WORK/images takes the official validation images, a fifth of the training images, and the
melanomas and common nevi of `DATA/ph2` for testing.
"""  # noqa: E501

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import planted_ruler
from pack_isic2017 import CLASSES, PARTS, read_labels

from melanoma_tf.datasets.sources.ph2 import list_ph2

HELD_OUT = 5
PH2_CLASSES = {"melanoma": 0, "nevus": 1}


def write_squares(data: Path, output: Path) -> dict[str, tuple[str, int]]:
    """Write the squares that are not there yet; returns the part and class of each image."""
    found = {}
    for part in PARTS:
        labels = read_labels(data / f"ISIC-2017_{part}_Part3_GroundTruth.csv")
        for path in sorted((data / f"ISIC-2017_{part}_Data").glob("*.jpg")):
            found[path.stem] = (part, labels[path.stem])
            target = output / f"{path.stem}.png"
            if not target.exists():
                cv2.imwrite(str(target), planted_ruler.square(planted_ruler.read(path)))
    return found


def write_ph2(data: Path, output: Path) -> dict[str, tuple[str, int]]:
    """The same for PH2; atypical nevi have no class in ISIC 2017."""
    found = {}
    for lesion in list_ph2(data).lesions:
        if lesion.diagnosis in PH2_CLASSES:
            found[lesion.key] = ("ph2", PH2_CLASSES[lesion.diagnosis])
            image = planted_ruler.square(planted_ruler.read(lesion.image_path))
            cv2.imwrite(str(output / f"{lesion.key}.png"), image)
    return found


def splits_of(images: dict[str, tuple[str, int]]) -> dict[str, str]:
    """Map each image to train or test: each fifth training image of a class is held out."""
    splits = {name: "test" for name, (part, _) in images.items() if part != "Training"}
    for label in range(len(CLASSES)):
        names = [name for name, found in sorted(images.items()) if found == ("Training", label)]
        order = np.random.default_rng(label).permutation(len(names))
        for place, index in enumerate(order):
            splits[names[index]] = "train" if place % HELD_OUT else "test"
    return splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    planted_ruler.draw(
        given.data, given.work, planted_ruler.read_labels(given.data / "isic2017-full"), ruled=1.0
    )
    images = write_squares(given.data / "isic2017-full", given.work / "images")
    images |= write_ph2(given.data / "ph2", given.work / "images")
    splits = splits_of(images)
    with (given.work / "images" / "table.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "diagnosis", "split", "part"])
        for name, (part, label) in sorted(images.items()):
            writer.writerow([f"{name}.png", CLASSES[label], splits[name], part.lower()])
    count = sum(split == "test" for split in splits.values())
    print(f"{len(images)} images, {count} of them for testing; {given.work}/images/table.csv")


if __name__ == "__main__":
    main()
