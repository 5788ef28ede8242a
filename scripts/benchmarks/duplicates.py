"""How many planted copies are found, how many distinct images are confused, and what it costs.

    python scripts/benchmarks/duplicates.py IMAGES... [--planted 250] [--scale 40000]

IMAGES are folders of distinct real JPEG images. Each of `--planted` of them, drawn at random, gets
one copy of every kind, in a search of its own per kind. For `--scale`, thumbnails are blended from
two random real ones each (half and half, the second one turned), so that all differ but have real
spectra; that many are searched in a process of its own, and its time and peak memory are printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json

from melanoma_tf.records.build.candidates import find_candidates
from melanoma_tf.records.build.duplicates import SAME_PICTURE, find_pairs
from melanoma_tf.records.build.same_picture import similarity
from melanoma_tf.records.build.spectra import oriented
from melanoma_tf.records.build.thumbnails import ThumbnailFile, make_thumbnail

Image = np.ndarray


def resized(image: Image, factor: float, interpolation: int = cv2.INTER_AREA) -> Image:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)


def compressed(image: Image, quality: int) -> Image:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)


def cropped(image: Image, left: float, top: float, right: float, bottom: float) -> Image:
    height, width = image.shape
    rows = slice(round(top * height), height - round(bottom * height))
    return image[rows, round(left * width) : width - round(right * width)]


def turned(image: Image, degrees: float) -> Image:
    height, width = image.shape
    warp = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.06)
    return cv2.warpAffine(image, warp, (width, height))


KINDS: dict[str, Callable[[Image], Image]] = {
    "half the size": lambda image: resized(image, 0.5),
    "0.3 of the size, bilinear": lambda image: resized(image, 0.3, cv2.INTER_LINEAR),
    "squeezed into a square": lambda image: cv2.resize(image, (256, 256)),
    "JPEG quality 60": lambda image: compressed(image, 60),
    "JPEG quality 30": lambda image: compressed(image, 30),
    "JPEG quality 10": lambda image: compressed(image, 10),
    "cropped by 1 % per side": lambda image: cropped(image, 0.01, 0.01, 0.01, 0.01),
    "cropped by 2 % per side": lambda image: cropped(image, 0.02, 0.02, 0.02, 0.02),
    "cropped by 2 % on two sides": lambda image: cropped(image, 0.02, 0.02, 0, 0),
    "cropped by 4 % per side": lambda image: cropped(image, 0.04, 0.04, 0.04, 0.04),
    "cropped by 4 % on two sides": lambda image: cropped(image, 0.04, 0.04, 0, 0),
    "mirrored": lambda image: image[:, ::-1],
    "turned by 90 degrees": np.rot90,
    "turned by 2 degrees": lambda image: turned(image, 2),
    "15 % brighter": lambda image: np.clip(image * 1.15, 0, 255).astype(np.uint8),
    "mirrored, cropped by 2 %, 0.6 of the size, JPEG 60": lambda image: compressed(
        resized(cropped(image, 0.02, 0.02, 0.02, 0.02)[:, ::-1], 0.6), 60
    ),
}


def print_false_alarms(paths: list[Path], thumbnails: Image) -> None:
    begin = time.perf_counter()
    candidates = find_candidates(thumbnails)
    found = sorted(
        (
            (similarity((each, thumbnails[each.whole], thumbnails[each.part])), each)
            for each in candidates
        ),
        key=lambda row: -row[0],
    )
    alarms = sum(value >= SAME_PICTURE for value, _ in found)
    print(
        f"{len(paths):,} real images: {len(candidates):,} candidates, {alarms} pairs at or above "
        f"{SAME_PICTURE}, {time.perf_counter() - begin:.1f} s; the most alike:"
    )
    for value, candidate in found[:5]:
        print(f"  {value:.3f} {paths[candidate.whole].name} {paths[candidate.part].name}")


def print_recall(paths: list[Path], thumbnails: Image, planted: int) -> list[Comparison]:
    drawn = np.random.default_rng(0).permutation(len(paths))[:planted]
    images = [cv2.imread(str(paths[index]), cv2.IMREAD_GRAYSCALE) for index in drawn]
    rows = []
    for name, kind in KINDS.items():
        copies = [make_thumbnail(np.ascontiguousarray(kind(image))) for image in images]
        pairs = find_pairs(np.concatenate((thumbnails, np.array(copies))))
        found = {(pair.left, pair.right): pair.similarity for pair in pairs}
        expected = {(index, len(paths) + row) for row, index in enumerate(drawn)}
        hits = expected & found.keys()
        least = min((found[pair] for pair in hits), default=float("nan"))
        print(
            f"{name}: {len(hits)}/{len(expected)} found, {len(found.keys() - expected)} wrong "
            f"pairs, least similarity {least:.3f}",
            flush=True,
        )
        rows.append(Comparison(f"copies: {name}", len(hits), len(expected), "found", "planted"))
    return rows


def print_scale(thumbnails: Image, count: int) -> None:
    generator = np.random.default_rng(0)
    blended = ThumbnailFile()
    parents: dict[tuple[int, int], None] = {}
    while len(blended) < count:
        left, right = sorted(generator.choice(len(thumbnails), 2, replace=False).tolist())
        if (left, right) in parents:
            continue
        other = oriented(thumbnails[right], int(generator.integers(8)))
        blend = make_thumbnail(((thumbnails[left].astype(int) + other) // 2).astype(np.uint8))
        if blend is not None:
            blended.append(blend)
            parents[left, right] = None
    parts = [set(pair) for pair in parents]
    before, begin = peak_mib(), time.perf_counter()
    pairs = find_pairs(blended)
    print(
        f"{count:,} blended thumbnails: {time.perf_counter() - begin:.0f} s, peak memory "
        f"{before:.0f} MiB before and {peak_mib():.0f} MiB after, {len(pairs)} pairs, of which "
        f"{sum(bool(parts[pair.left] & parts[pair.right]) for pair in pairs)} share a half"
    )


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--planted", type=int, default=250)
    parser.add_argument("--scale", type=int, nargs="*", default=[5_000, 40_000])
    add_json_option(parser)
    arguments = parser.parse_args()
    paths = sorted(path for folder in arguments.folders for path in folder.glob("*.jpg"))
    thumbnails = np.array([make_thumbnail(cv2.imread(str(path), 0)) for path in paths])
    print_false_alarms(paths, thumbnails)
    write_json(arguments.json, print_recall(paths, thumbnails, arguments.planted))
    for count in arguments.scale:
        process = multiprocessing.get_context("spawn").Process(
            target=print_scale, args=(thumbnails, count)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
