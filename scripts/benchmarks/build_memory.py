"""Peak resident memory of build-records for many rows against few, with tiny images it makes.

    python scripts/benchmarks/build_memory.py --rows 5000 50000

Each build runs in a process of its own with 2 workers. The last line is the ratio of the largest
number of rows to the smallest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json


def make_images(folder: Path, count: int) -> None:
    """Distinct ones: the search for duplicates is part of a build."""
    generator = np.random.default_rng(0)
    for index in range(count):
        image = cv2.resize(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8), (48, 32))
        cv2.imwrite(str(folder / f"{index}.jpg"), image)


def build(images: Path, rows: int, output: Path) -> None:
    from melanoma_tf.datasets.lesion import Lesion, Listing
    from melanoma_tf.records.build.build import build_records
    from melanoma_tf.records.build.settings import BuildSettings

    lesions = tuple(
        Lesion(
            key=f"IMG_{index:07d}",
            image_path=images / f"{index}.jpg",
            mask_path=None,
            diagnosis="nevus",
            source="made",
            split="train",
            lesion_id=f"L{index // 2}",
        )
        for index in range(rows)
    )
    listing = Listing("made", lesions, (), "CC0-1.0", "made")
    settings = BuildSettings("isic2017", image_size=32)
    build_records([listing], settings, output, workers=2)
    print(peak_kib(os.getpid()))


def peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 50000])
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    add_json_option(parser)
    options = parser.parse_args()
    if options.build:
        images, rows, output = options.build
        build(Path(images), int(rows), Path(output))
        return
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        make_images(images, max(options.rows))
        for rows in sorted(options.rows):
            output = Path(folder) / str(rows)
            command = [sys.executable, __file__, "--build", images, rows, output]
            done = subprocess.run(
                list(map(str, command)), env=environment, stdout=subprocess.PIPE, check=True
            )
            peaks.append(int(done.stdout) / 1024)
            print(f"{rows:8,} rows: peak {peaks[-1]:7.1f} MiB")
    print(f"ratio {peaks[-1] / peaks[0]:.3f}")
    few, many = min(options.rows), max(options.rows)
    work, limit = f"peak memory of a build of {many:,} rows", f"with {few:,} rows"
    write_json(options.json, [Comparison(work, peaks[-1], peaks[0], "MiB", limit)])


if __name__ == "__main__":
    main()
