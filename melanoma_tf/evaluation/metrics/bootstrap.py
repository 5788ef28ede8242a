"""Bootstrap: the metrics of many resamples of the images, or of the patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.task import MetricPath, Task, all_metrics

# Weights held at once. A row of 100,000 counts fits the second-level cache; many short rows
# together keep NumPy's cost per call small.
_WEIGHTS_AT_ONCE = 100_000


def group_indices(groups: Sequence[str] | None, n_images: int) -> np.ndarray:
    """Index of each image's group, int `(images,)` from 0 on; an empty name is a group of one."""
    if groups is None:
        return np.arange(n_images)
    names = [name or f"\0{index}" for index, name in enumerate(groups)]
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1].reshape(-1)


def resamples(
    groups: np.ndarray, rounds: int, seed: int, base: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Draw resamples: how often each image occurs, in blocks of rounds.

    Args:
        groups: int `(images,)` from 0 on without gaps; as many groups are drawn as there are.
        rounds: how many resamples.
        seed: the same seed gives the same resamples, independent of the size of the blocks.
        base: float64 `(images,)`, weight of each image; None gives each weight 1.

    Yields:
        `(some rounds, images)`: int32 counts, or float64 where there is a `base`.
    """
    n_images = len(groups)
    if n_images == 0:
        raise MelanomaError("expected at least one image to draw from, found none")
    n_groups = int(groups.max()) + 1
    each_its_own = n_groups == n_images and np.array_equal(groups, np.arange(n_images))
    generator = np.random.default_rng(seed)
    rows = max(1, _WEIGHTS_AT_ONCE // n_images)
    for start in range(0, rounds, rows):
        block = np.empty((min(rows, rounds - start), n_images), dtype=np.int32)
        for row in block:
            drawn = np.bincount(generator.integers(0, n_groups, n_groups), minlength=n_groups)
            row[:] = drawn if each_its_own else drawn[groups]
        yield block if base is None else block * base


def bootstrap(task: Task, blocks: Iterator[np.ndarray]) -> dict[MetricPath, np.ndarray]:
    """Metrics of all resamples: float64 `(rounds,)` by path, NaN where a round defines none.

    Memory is one block and the metrics: it does not grow with images times rounds.
    """
    parts = [all_metrics(task, block) for block in blocks]
    return {path: np.concatenate([part[path] for part in parts]) for path in parts[0]}


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """The middle part of the rounds that define the metric; None where fewer than two do."""
    defined = values[~np.isnan(values)]
    if defined.size < 2:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_p_value(differences: np.ndarray) -> float | None:
    """Two-sided p-value of "no difference" from paired differences `(rounds,)`.

    Twice the smaller share of rounds on either side of zero, zero counting to both, with the
    observed data as one more round so that it is never 0 (Davison and Hinkley 1997, 4.2.3).
    """
    defined = differences[~np.isnan(differences)]
    if defined.size < 2:
        return None
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (defined.size + 1))
