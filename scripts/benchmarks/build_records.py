"""build-records against a plain loop of OpenCV and tf.io.TFRecordWriter, in one run.

    python scripts/benchmarks/build_records.py isic2017=DIR ham10000=DIR --image-size 128

Prints images per second of the plain loop (read, resize, encode, write; no masks), of the same
work by `prepare_all` and `write_records` with 1 and 2 workers, and of the whole `build_records`,
which reads every image once more to find duplicates, with the ratios. Each is run `--repeats`
times in turn and the best time counts; starting the worker processes is part of the time. CPU
seconds, those of the workers among them, tell the cost where other programs share the cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2

from melanoma_tf.datasets.catalogue import list_source, parse_source
from melanoma_tf.datasets.lesion import Listing

if TYPE_CHECKING:
    from melanoma_tf.records.build.build import BuildSettings


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


def records_alone(listing: Listing, settings: BuildSettings, output: Path, workers: int) -> None:
    """The second half of a build: prepare and write, when the duplicates are known."""
    from melanoma_tf.datasets.lesion import taxonomy_named
    from melanoma_tf.records.build.prepare import ImageFiles, prepare_all
    from melanoma_tf.records.schema import Example
    from melanoma_tf.records.writer import Description, write_records

    taxonomy = taxonomy_named(settings.taxonomy)
    files = (ImageFiles(lesion.image_path, None) for lesion in listing.lesions)
    results = prepare_all(files, settings.encoding(), max_megapixels=200, workers=workers)
    examples = (
        Example(
            image=result.image,
            image_format="jpeg",
            height=result.height,
            width=result.width,
            key=lesion.key,
            mask=b"",
            label=taxonomy.label(lesion.diagnosis),
            label_text=taxonomy.classes[taxonomy.label(lesion.diagnosis)],
            source=lesion.source,
            split="train",
        )
        for lesion, result in zip(listing.lesions, results)
    )
    write_records(
        examples, output, Description(taxonomy.name, taxonomy.classes, {}, {}), overwrite=True
    )


def main() -> None:
    # Not at the top: a spawned worker imports this file again, and shall not load TensorFlow.
    from melanoma_tf.records.build.build import BuildSettings, build_records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    requests = [parse_source(text) for text in options.sources]
    lesions = tuple(
        dataclasses.replace(lesion, mask_path=None)
        for request in requests
        for lesion in list_source(request.name, request.folder, request.options).lesions
    )
    listing = Listing("all", lesions, (), "", "")
    settings = BuildSettings("isic2018", image_size=options.image_size, split="official")
    # One core per process on both sides; the plain loop would else use all cores in the resize.
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "records"

        def whole(workers: int) -> None:
            build_records([listing], settings, output, workers=workers, overwrite=True)

        candidates = {
            "plain loop": lambda: plain_loop(listing, options.image_size, Path(folder) / "plain"),
            "records, 1 worker": lambda: records_alone(listing, settings, output, 1),
            "records, 2 workers": lambda: records_alone(listing, settings, output, 2),
            "whole build, 1 worker": lambda: whole(1),
            "whole build, 2 workers": lambda: whole(2),
        }
        measure(candidates, len(lesions), options.repeats)


def measure(candidates: dict[str, Callable[[], None]], images: int, repeats: int) -> None:
    seconds = dict.fromkeys(candidates, float("inf"))
    cpu_seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(repeats):
        for name, run in candidates.items():
            start, cpu_start = time.perf_counter(), sum(os.times()[:4])
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
            cpu_seconds[name] = min(cpu_seconds[name], sum(os.times()[:4]) - cpu_start)
    print(f"{images} images")
    first = next(iter(seconds.values()))
    for name, best in seconds.items():
        print(
            f"{name:24} {images / best:8.1f} images/s  {first / best:5.2f} of the plain loop  "
            f"{cpu_seconds[name]:6.2f} CPU seconds"
        )


if __name__ == "__main__":
    main()
