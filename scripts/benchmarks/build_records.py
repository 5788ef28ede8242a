"""build-records against a plain loop of OpenCV and tf.io.TFRecordWriter, in one run.

    python scripts/benchmarks/build_records.py isic2017=DIR ham10000=DIR --phantoms 3000

Measured are all sources together and, after them, phantoms of 1024x768 that the script draws. Per
group it prints images per second of the plain loop (read, resize, encode, write; no masks, no
search for duplicates) and of `build_records` with 1 and 2 workers, with the ratios; and how far the
stored pixels are from those of area averaging. Each is run `--repeats` times in turn and the best
time counts. CPU seconds tell the cost where other programs share the cores.
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

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

from melanoma_tf.datasets.catalogue import list_source, parse_source
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.records.build.build import build_records
from melanoma_tf.records.build.prepare import fit_decoded
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.records.decode import read_bgr_at_least, read_image
from melanoma_tf.records.encode import fit_short_side

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAMPLE = 200


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


def compare(listing: Listing, settings: BuildSettings, repeats: int) -> list[Comparison]:
    """Print the rates of the plain loop and of the build, with their ratios."""
    with tempfile.TemporaryDirectory() as folder:

        def whole(workers: int) -> None:
            output = Path(folder) / "records"
            build_records([listing], settings, output, workers=workers, overwrite=True)

        candidates = {
            "plain loop": lambda: plain_loop(listing, settings.image_size, Path(folder) / "plain"),
            "build, 1 worker": lambda: whole(1),
            "build, 2 workers": lambda: whole(2),
        }
        plain, one, _ = measure(candidates, len(listing.lesions), repeats)
    print_difference(listing.lesions, settings.image_size)
    work = f"{len(listing.lesions):,} images to {settings.image_size} px, one worker"
    return [Comparison(work, one, plain, "s", "OpenCV loop without search for duplicates")]


def measure(candidates: dict[str, Callable[[], None]], images: int, repeats: int) -> list[float]:
    """Print the rates, and return the processor seconds."""
    seconds = dict.fromkeys(candidates, float("inf"))
    cpu_seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(repeats):
        for name, run in candidates.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
            cpu_seconds[name] = min(cpu_seconds[name], time.process_time() - cpu_start)
    first, first_cpu = next(iter(seconds.values())), next(iter(cpu_seconds.values()))
    for name, best in seconds.items():
        cpu = cpu_seconds[name]
        print(
            f"  {name:18} {images / best:8.1f} images/s  {first / best:5.2f} of the plain loop   "
            f"{cpu:6.2f} CPU seconds, plain/build {first_cpu / cpu:5.2f}",
            flush=True,
        )
    return list(cpu_seconds.values())


def print_difference(lesions: Sequence[Lesion], image_size: int) -> None:
    """Compare the pixels that are encoded with those of whole decoding and area averaging."""
    step = max(1, len(lesions) // _SAMPLE)
    differences = []
    for lesion in lesions[::step]:
        whole = fit_short_side(read_image(lesion.image_path), image_size)
        stored = fit_decoded(*read_bgr_at_least(lesion.image_path, image_size), image_size)
        differences.append(np.abs(whole.astype(int) - stored[..., ::-1]).mean())
    scaled = [value for value in differences if value > 0]
    print(
        "  stored pixels against area averaging: mean absolute difference "
        f"{np.mean(differences):.2f} grey levels, at most {max(differences):.2f} in an image; "
        f"{len(scaled)} of {len(differences)} images decoded at a reduced scale"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", metavar="NAME=DIR")
    parser.add_argument("--phantoms", type=int, default=0, help="how many phantoms to draw")
    parser.add_argument("--phantom-folder", type=Path, help="keep them here, and use them again")
    parser.add_argument("--image-size", type=int, nargs="+", default=[128])
    parser.add_argument("--repeats", type=int, default=3)
    add_json_option(parser)
    options = parser.parse_args()
    # One core per worker on both sides; the plain loop would else use all cores in the resize.
    cv2.setNumThreads(1)
    groups: dict[str, list[str]] = {}
    found: list[Comparison] = []
    if options.sources:
        groups[" and ".join(options.sources)] = options.sources
    with tempfile.TemporaryDirectory() as folder:
        if options.phantoms:
            drawn = options.phantom_folder or Path(folder) / "phantoms"
            if not drawn.exists():
                settings = PhantomSettings(size_px=768)
                write_phantoms(drawn, options.phantoms, settings=settings, seed=0)
            groups[f"{options.phantoms:,} phantoms of 1024x768"] = [f"isic2017={drawn}"]
        for image_size in options.image_size:
            for name, sources in groups.items():
                requests = map(parse_source, sources)
                lesions = tuple(
                    dataclasses.replace(lesion, mask_path=None)
                    for request in requests
                    for lesion in list_source(request.name, request.folder, request.options).lesions
                )
                print(f"{name}: {len(lesions):,} images to a short side of {image_size} pixels")
                settings = BuildSettings("isic2018", image_size=image_size, split="official")
                found += compare(Listing("all", lesions, (), "", ""), settings, options.repeats)
    write_json(options.json, found)


if __name__ == "__main__":
    main()
