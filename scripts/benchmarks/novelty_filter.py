"""The search for nearest real images against scikit-learn and against the bare matrix product.

    python scripts/benchmarks/novelty_filter.py --candidates 1000 --real 20000 --size 64

Ours compares mirror images too, as the novelty filter does. The rows that scikit-learn searches for
and that the product multiplies are the candidates and their mirror images, so that the product's
shape is 2,000 x 12,288 x 20,000; with `--no-mirror` the others leave the mirror images out, and do
half of the work. All is in single precision. Ours reads bytes in blocks of 1,024; the others have
all references as floats in memory already, and making these is not counted. The sides take turns,
and the best round of each counts. Seconds are those of the processor, summed over its cores, and on
the clock in brackets: a busy machine changes the latter.

The images are noise, smoothed so that neighbours resemble each other as pixels of photographs do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from comparison import Comparison, add_json_option, write_json
from sklearn.neighbors import NearestNeighbors

from melanoma_tf.generation.nearest_neighbours import nearest


def pictures(count: int, size: int, seed: int) -> np.ndarray:
    """Blobs and a little noise, uint8 `(count, size, size, 3)`."""
    random = np.random.default_rng(seed)
    result = np.empty((count, size, size, 3), np.uint8)
    grain = random.normal(0, 4, (size, size, 3)).astype(np.float32)
    for image in result:
        coarse = random.normal(128, 48, (5, 5, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        image[:] = np.clip(smooth + np.roll(grain, random.integers(size), axis=0), 0, 255)
    return result


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    start = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - start[0], time.perf_counter() - start[1], result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--real", type=int, default=20000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-mirror", dest="mirror", action="store_false")
    add_json_option(parser)
    given = parser.parse_args()
    candidates = pictures(given.candidates, given.size, 0)
    real = pictures(given.real, given.size, 1)
    sides = [candidates, candidates[:, :, ::-1]] if given.mirror else [candidates]
    rows = np.concatenate([side.reshape(len(side), -1) for side in sides]).astype(np.float32)
    references = real.reshape(len(real), -1).astype(np.float32)

    def ours() -> np.ndarray:
        blocks = (real[at : at + 1024] for at in range(0, len(real), 1024))
        return nearest(candidates, blocks).distance

    def scikit_learn() -> np.ndarray:
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(references)
        found = search.kneighbors(rows)[0].reshape(len(sides), -1).min(axis=0)
        return found**2 / (255.0**2 * rows.shape[1])

    def product() -> np.ndarray:
        return rows @ references.T

    works = {"ours": ours, "scikit-learn": scikit_learn, "matrix product": product}
    best = dict.fromkeys(works, (np.inf, np.inf))
    results = {}
    for _ in range(given.rounds):
        for name, work in works.items():
            *seconds, results[name] = timed(work)
            best[name] = tuple(map(min, best[name], seconds))
    print(f"product: {len(rows)} x {rows.shape[1]} x {len(references)}")
    for name, (processor, clock) in best.items():
        print(f"{name}: {processor:.2f} s ({clock:.2f} s)")
    rows_of, shape = [], f"{given.candidates:,} candidates, {given.real:,} real images"
    for name in ("scikit-learn", "matrix product"):
        rows_of.append(Comparison(shape, best["ours"][0], best[name][0], "s", name))
        ratios = [best["ours"][which] / best[name][which] for which in (0, 1)]
        print(f"ours takes {ratios[0]:.2f} ({ratios[1]:.2f}) times the time of the {name}")
    write_json(given.json, rows_of)
    if given.mirror:
        difference = np.abs(results["ours"] / results["scikit-learn"] - 1.0).max()
        print(f"largest relative difference of distances: {difference:.1e}")


if __name__ == "__main__":
    main()
