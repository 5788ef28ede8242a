"""build-records against a plain loop of OpenCV and tf.io.TFRecordWriter, in one run.

    python scripts/benchmarks/build_records.py ../shared/data/isic2017 --image-size 256

Prints images per second of the plain loop (read, resize, encode, write, no masks), and of
`build_records` with 1 and 2 workers on the same images, with the ratios. Each is run `--repeats`
times in turn and the best time counts; starting the worker processes is part of the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2

from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.lesion import Listing


def plain_loop(listing: Listing, image_size: int, output: Path) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(output)) as writer:
        for lesion in listing.lesions:
            image = cv2.imread(str(lesion.image_path))
            height, width = image.shape[:2]
            scale = min(1.0, image_size / min(height, width))
            size = (round(width * scale), round(height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
            features = tf.train.Features(feature={"image": feature})
            writer.write(tf.train.Example(features=features).SerializeToString())


def main() -> None:
    # Not at the top: a spawned worker imports this file again, and shall not load TensorFlow.
    from melanoma_tf.records.build import BuildSettings, build_records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an ISIC 2017 folder")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--copies", type=int, default=4, help="how often each image is taken")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    found = list_source("isic2017", options.folder)
    lesions = tuple(
        dataclasses.replace(lesion, key=f"{lesion.key}_{copy}", mask_path=None)
        for copy in range(options.copies)
        for lesion in found.lesions
    )
    listing = dataclasses.replace(found, lesions=lesions)
    settings = BuildSettings("isic2017", image_size=options.image_size, split="official")
    # Both sides on one core per process; the plain loop would else use all cores in the resize.
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        candidates = {
            "plain loop": lambda: plain_loop(listing, options.image_size, output / "plain"),
            "1 worker": lambda: build_records(
                [listing], settings, output / "one", workers=1, overwrite=True
            ),
            "2 workers": lambda: build_records(
                [listing], settings, output / "two", workers=2, overwrite=True
            ),
        }
        seconds = dict.fromkeys(candidates, float("inf"))
        for _ in range(options.repeats):
            for name, run in candidates.items():
                start = time.perf_counter()
                run()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    print(f"{len(lesions)} images, short side {options.image_size} px")
    for name, best in seconds.items():
        ratio = seconds["plain loop"] / best
        print(f"{name:12} {len(lesions) / best:8.1f} images/s  {ratio:5.2f} of the plain loop")


if __name__ == "__main__":
    main()
