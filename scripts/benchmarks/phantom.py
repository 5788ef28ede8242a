"""Phantoms drawn per second on one core, at three sizes, with and without occlusions.

    python scripts/benchmarks/phantom.py [--count 60]

Counted in seconds of the process's own time, which other work on the machine does not stretch,
and in seconds on the wall next to it.
"""

from __future__ import annotations

import argparse
import time

import cv2
from comparison import Comparison, add_json_option, write_json

from melanoma_tf.phantoms import OCCLUSIONS, PHANTOM_CLASSES, PhantomSettings, draw_phantom


def images_per_second(settings: PhantomSettings, count: int) -> tuple[float, float]:
    draw_phantom("nevus", 0, settings)
    wall, own = time.perf_counter(), time.process_time()
    for seed in range(count):
        draw_phantom(PHANTOM_CLASSES[seed % len(PHANTOM_CLASSES)], seed, settings)
    return count / (time.process_time() - own), count / (time.perf_counter() - wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=80, help="phantoms per row")
    add_json_option(parser)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rows = {
        "without occlusions": dict.fromkeys(OCCLUSIONS, 0.0),
        "default occlusions": {},
        "all occlusions": dict.fromkeys(OCCLUSIONS, 1.0),
    }
    print(f"{'':20}{'px':>6}{'images/s (own time)':>22}{'images/s (wall)':>18}")
    found = []
    for name, shares in rows.items():
        for size_px in (128, 256, 512):
            own, wall = images_per_second(PhantomSettings(size_px=size_px, **shares), options.count)
            print(f"{name:20}{size_px:6}{own:22.1f}{wall:18.1f}")
            found.append(Comparison(f"phantoms of {size_px} px, {name}", own, None, "images/s"))
    write_json(options.json, found)


if __name__ == "__main__":
    main()
