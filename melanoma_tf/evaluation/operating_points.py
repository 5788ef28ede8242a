"""Operating points: thresholds chosen on one set of images, and their scores on another.

A threshold looks better on the images that chose it than on others. Thresholds chosen on validation
images and applied to test images show what a user of the classifier would see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from melanoma_tf.evaluation.metrics.bootstrap import percentile_interval, resamples
from melanoma_tf.evaluation.metrics.intervals import LEVEL

SENSITIVITIES = (0.82, 0.89, 0.95)

# The score of an image depends on the batch and the machine that compute it, by less than this.
SCORE_TOLERANCE = 1e-6
# Scores nearer to each other are tied. Half of it, the distance from a threshold to the nearest
# score, leaves room for the tolerance and for rounding.
_TIED = 4 * SCORE_TOLERANCE
# Where scores lie so densely that no gap is wider than `_TIED`, a threshold goes no further down.
_FURTHEST = 100 * SCORE_TOLERANCE

# class name -> "0.82" -> threshold, None where the images define none
Thresholds = Mapping[str, Mapping[str, "float | None"]]
Points = dict[str, dict[str, "dict[str, Any] | None"]]


def choose_thresholds(
    labels: np.ndarray, scores: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Choose for each class the thresholds that reach each of `SENSITIVITIES`.

    A score of at least the threshold means the class. The image of the class that completes the
    sensitivity, going down from the largest score, decides: the threshold is put below its score by
    `threshold_below`. The specificity at the threshold is that of the metric
    `specificity_at_sensitivity`, except where the decisive score has ties within `_TIED`.

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
            f"{sensitivity:g}": threshold_below(
                scores[known, index], float(positive[(reached >= sensitivity).argmax()])
            )
            if defined
            else None
            for sensitivity in SENSITIVITIES
        }
    return chosen


def threshold_below(scores: np.ndarray, decisive: float) -> float:
    """Return a threshold below a score that small changes of the scores do not cross.

    The threshold is the middle of the first gap of at least 4e-6 below the decisive score; scores
    nearer to each other are tied, and all of them are above the threshold. Below the lowest score
    of all, and where no such gap is found within 1e-4, the threshold lies 2e-6 below the lowest or
    the decisive score.

    Args:
        scores: float `(images,)` with the decisive one.
        decisive: the smallest score that has to stay above the threshold.
    """
    falling = np.unique(scores[scores <= decisive])[::-1]
    gaps = np.append(falling[:-1] - falling[1:], np.inf)
    last = int((gaps >= _TIED).argmax())
    if decisive - falling[last] > _FURTHEST:
        return decisive - _TIED / 2
    if np.isinf(gaps[last]):
        return float(falling[last]) - _TIED / 2
    return float(falling[last] + falling[last + 1]) / 2


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
        (Wilson's, or by group a bootstrap's). None in place of a point without a threshold.
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
    """95 % interval of the fraction of images that are decided correctly.

    Wilson's where every image is a group of its own, else the percentiles of a bootstrap by group.
    A bootstrap of images that are all correct has no width: the interval is then Wilson's over the
    number of groups, as if the images of a group always agreed.
    """
    if not len(right) or not rounds:
        return None
    present = np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_groups = int(present.max()) + 1
    fraction = float(right.mean())
    if n_groups == len(right) or fraction in (0.0, 1.0):
        limits = binomtest(round(fraction * n_groups), n_groups).proportion_ci(LEVEL, "wilson")
        return {"low": float(limits.low), "high": float(limits.high), "method": "wilson"}
    right_within, size = np.bincount(present, weights=right), np.bincount(present)
    draws = resamples(np.arange(n_groups), rounds, seed)
    fractions = [drawn @ right_within / (drawn @ size) for drawn in draws]
    low, high = percentile_interval(np.concatenate(fractions), LEVEL) or (fraction, fraction)
    return {"low": low, "high": high, "method": "bootstrap"}
