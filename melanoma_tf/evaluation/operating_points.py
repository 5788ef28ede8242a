"""Operating points: thresholds chosen on one set of images, and what they give on another.

A threshold that is chosen on the very images it is judged on looks better than it is. One chosen on
validation images and carried over tells what a reader of the score would meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from melanoma_tf.evaluation.metrics.bootstrap import percentile_interval, resamples
from melanoma_tf.evaluation.metrics.intervals import LEVEL

SENSITIVITIES = (0.82, 0.89, 0.95)

# class name -> "0.82" -> threshold, None where the images define none
Thresholds = Mapping[str, Mapping[str, "float | None"]]
Points = dict[str, dict[str, "dict[str, Any] | None"]]


def choose_thresholds(
    labels: np.ndarray, scores: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """For each class the largest threshold that reaches each of `SENSITIVITIES`.

    A score of at least the threshold means the class. The threshold is the score of an image of
    the class, and all images that tie with it are called, as in the metric
    `specificity_at_sensitivity`, which is the specificity that this threshold gives.

    Args:
        labels: int `(images,)`, class index; -1 (unknown) is left out.
        scores: float `(images, classes)`.
        class_names: in the order of the columns.

    Returns:
        By class and sensitivity (`"0.82"`) the threshold; None for a class without examples or
        without counter-examples.
    """
    known = labels >= 0
    chosen: dict[str, dict[str, float | None]] = {}
    for index, name in enumerate(class_names):
        positive = np.sort(scores[known & (labels == index), index])[::-1]
        defined = 0 < len(positive) < known.sum()
        reached = np.arange(1, len(positive) + 1) / max(len(positive), 1)
        chosen[name] = {
            f"{sensitivity:g}": float(positive[(reached >= sensitivity).argmax()])
            if defined
            else None
            for sensitivity in SENSITIVITIES
        }
    return chosen


def at_thresholds(
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    thresholds: Thresholds,
    groups: np.ndarray,
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Points:
    """Sensitivity and specificity of each class at given thresholds.

    Args:
        labels: int `(images,)`, class index; -1 (unknown) is left out.
        scores: float `(images, classes)`.
        class_names: in the order of the columns.
        thresholds: see `choose_thresholds`.
        groups: int `(images,)` from 0 on, what a bootstrap draws together.
        rounds: of the bootstrap; 0 leaves the intervals out.
        seed: of the bootstrap.

    Returns:
        By class and wanted sensitivity: `threshold`, `sensitivity` and `specificity` (None where
        there are no examples, or no others), the counts `true_positives`, `false_negatives`,
        `true_negatives`, `false_positives`, and under `interval` the 95 % intervals of both
        (Wilson's, or by group a bootstrap's). None instead of all that where there is no threshold.
    """
    points: Points = {}
    for index, name in enumerate(class_names):
        positive, negative = labels == index, (labels >= 0) & (labels != index)
        points[name] = {}
        for wanted, threshold in thresholds.get(name, {}).items():
            if threshold is None:
                points[name][wanted] = None
                continue
            right = (scores[:, index] >= threshold) == positive
            intervals = {
                "sensitivity": _interval(right[positive], groups[positive], rounds, seed),
                "specificity": _interval(right[negative], groups[negative], rounds, seed),
            }
            points[name][wanted] = {
                "threshold": threshold,
                **_counts(positive, negative, right),
                **({"interval": intervals} if rounds else {}),
            }
    return points


def _counts(positive: np.ndarray, negative: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    hits, passes = int((positive & right).sum()), int((negative & right).sum())
    n_positive, n_negative = int(positive.sum()), int(negative.sum())
    return {
        "sensitivity": hits / n_positive if n_positive else None,
        "specificity": passes / n_negative if n_negative else None,
        "true_positives": hits,
        "false_negatives": n_positive - hits,
        "true_negatives": passes,
        "false_positives": n_negative - passes,
    }


def _interval(
    right: np.ndarray, groups: np.ndarray, rounds: int, seed: int
) -> dict[str, Any] | None:
    """95 % interval of the share of images that are decided rightly.

    Wilson's where every image is a group of its own, else the percentiles of a bootstrap by group.
    A bootstrap of images that are all right knows no doubt: then Wilson's over the number of
    groups, as if those of a group always agreed.
    """
    if not len(right) or not rounds:
        return None
    present = np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_groups = int(present.max()) + 1
    share = float(right.mean())
    if n_groups == len(right) or share in (0.0, 1.0):
        limits = binomtest(round(share * n_groups), n_groups).proportion_ci(LEVEL, "wilson")
        return {"low": float(limits.low), "high": float(limits.high), "method": "wilson"}
    right_within, size = np.bincount(present, weights=right), np.bincount(present)
    draws = resamples(np.arange(n_groups), rounds, seed)
    shares = [drawn @ right_within / (drawn @ size) for drawn in draws]
    low, high = percentile_interval(np.concatenate(shares), LEVEL) or (share, share)
    return {"low": low, "high": high, "method": "bootstrap"}
