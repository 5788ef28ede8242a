"""Confidence intervals of all metrics: DeLong's for areas, the bootstrap's for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.bootstrap import bootstrap, percentile_interval, resamples
from melanoma_tf.evaluation.metrics.delong import Areas, delong, normal_interval
from melanoma_tf.evaluation.metrics.scores import set_nested
from melanoma_tf.evaluation.metrics.task import MetricPath, Task

LEVEL = 0.95
Blocks = Iterator[np.ndarray]


def score_intervals(
    task: Task,
    weights: np.ndarray,
    groups: np.ndarray,
    *,
    rounds: int,
    seed: int,
    progress: Callable[[Blocks], Blocks] = iter,
) -> dict[str, Any]:
    """95 % intervals, nested as the metrics are.

    Args:
        task: the images.
        weights: float64 `(images,)`, weight of each image.
        groups: int `(images,)` from 0 on, group that is drawn together.
        rounds: how many resamples, at least 2.
        seed: seed of the resamples.
        progress: receives the blocks of resamples and yields them again (a progress bar).

    Returns:
        By metric `{"low", "high", "method", "rounds"}`, `rounds` being the number that define the
        metric; None where there are fewer than two. An area under the curve has DeLong's interval,
        cut to [0, 1] (by patient after Obuchowski 1997), and the bootstrap's under
        `bootstrap`. DeLong's is not defined for one positive or negative, nor for weighted images:
        the bootstrap's stands alone then.
    """
    if rounds < 2:
        raise MelanomaError(f"expected at least 2 bootstrap rounds, found {rounds}")
    base = None if np.all(weights == 1) else weights
    metrics = bootstrap(task, progress(resamples(groups, rounds, seed, base)))
    intervals: dict[str, Any] = {}
    for path, values in metrics.items():
        interval: dict[str, Any] | None = None
        limits = percentile_interval(values, LEVEL)
        if limits is not None:
            interval = _interval("bootstrap", *limits)
            interval["rounds"] = int((~np.isnan(values)).sum())
        analytic = class_areas([task], path, groups) if path[0] == "auc" and base is None else None
        if analytic is not None and not np.isnan(analytic.covariance).any():
            low, high = normal_interval(analytic.values[0], analytic.covariance[0, 0], LEVEL)
            of_areas = _interval("delong", max(low, 0.0), min(high, 1.0))
            interval = {**of_areas, "bootstrap": interval}
        set_nested(intervals, path, interval)
    return intervals


def class_areas(tasks: list[Task], path: MetricPath, groups: np.ndarray) -> Areas:
    """DeLong's areas of one class for one or more tasks over the same images.

    Args:
        tasks: of the same images and truth.
        path: `("auc", class)`.
        groups: int `(images,)`.
    """
    column = tasks[0].class_names.index(path[1])
    membership = tasks[0].membership[:, column]
    known = membership >= 0
    scores = [task.scores[known, column] for task in tasks]
    return delong(membership[known] == 1, scores, groups[known])


def _interval(method: str, low: float, high: float) -> dict[str, Any]:
    return {"low": float(low), "high": float(high), "method": method}
