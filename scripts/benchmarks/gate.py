"""The search for nearest real images against scikit-learn and against the bare matrix product.

    python scripts/benchmarks/gate.py --candidates 1000 --real 20000 --size 64

Prints seconds and ratios of one run; the sides take turns and the best time of each counts. The
images are noise, smoothed so that neighbours resemble each other as pixels of photographs do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from sklearn.neighbors import NearestNeighbors

from melanoma_tf.images.similarity import nearest


def pictures(count: int, size: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, size, size, 3)).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4, 0))
    return np.clip(128 + 400 * smooth, 0, 255).astype(np.uint8)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--real", type=int, default=20000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    candidates = pictures(given.candidates, given.size, 0)
    real = pictures(given.real, given.size, 1)
    flat = [each.reshape(len(each), -1).astype(np.float32) for each in (candidates, real)]

    def ours() -> np.ndarray:
        blocks = (real[at : at + 1024] for at in range(0, len(real), 1024))
        return nearest(candidates, blocks, mirror=False).distance

    def scikit_learn() -> np.ndarray:
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat[1])
        return search.kneighbors(flat[0])[0][:, 0] ** 2 / (255.0**2 * flat[0].shape[1])

    def product() -> np.ndarray:
        return flat[0] @ flat[1].T

    sides = {"ours": ours, "scikit-learn": scikit_learn, "matrix product": product}
    best = dict.fromkeys(sides, np.inf)
    results = {}
    for _ in range(given.rounds):
        for name, work in sides.items():
            seconds, results[name] = timed(work)
            best[name] = min(best[name], seconds)
    difference = np.abs(results["ours"] / results["scikit-learn"] - 1.0).max()
    for name, seconds in best.items():
        print(f"{name}: {seconds:.2f} s")
    print(f"{best['scikit-learn'] / best['ours']:.1f} times as fast as scikit-learn")
    print(f"{best['ours'] / best['matrix product']:.2f} times the bare product")
    print(f"largest relative difference of distances: {difference:.1e}")


if __name__ == "__main__":
    main()
