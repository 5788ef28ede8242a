"""Variance of the area under the ROC curve after DeLong, in O(n log n).

Neither SciPy nor scikit-learn has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Areas:
    """Areas of one or more scores of the same images.

    Attributes:
        values: float64 `(models,)`.
        covariance: float64 `(models, models)`; NaN where fewer than two positives or negatives
            (or clusters that have them) leave it undefined.
    """

    values: np.ndarray
    covariance: np.ndarray


def delong(
    is_positive: np.ndarray, scores: Sequence[np.ndarray], groups: np.ndarray | None = None
) -> Areas:
    """Areas under the ROC curves and their covariance.

    DeLong, DeLong and Clarke-Pearson 1988, with the structural components found by sorting. Where
    images share a group (a patient) they are not independent: their components are summed by
    group first (Obuchowski 1997), which is the same where each image is a group.

    Args:
        is_positive: bool `(images,)`.
        scores: one float `(images,)` per model, of the same images.
        groups: int `(images,)` from 0 on; None: each image is a group.
    """
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        nothing = np.full(len(scores), np.nan)
        return Areas(nothing, np.full((len(scores),) * 2, np.nan))
    components = [_components(is_positive, column) for column in scores]
    values = np.array([positive.mean() for positive, _ in components])
    index = np.arange(len(is_positive)) if groups is None else groups
    n_groups = int(index.max()) + 1

    def deviations(which: int, members: np.ndarray) -> np.ndarray:
        """`(groups, models)`: sums over the group's members of component less area."""
        columns = [
            np.bincount(index[members], parts[which] - value, n_groups)
            for parts, value in zip(components, values)
        ]
        return np.stack(columns, axis=1)

    up, down = deviations(0, is_positive), deviations(1, ~is_positive)
    with_positive = len(np.unique(index[is_positive]))
    with_negative = len(np.unique(index[~is_positive]))
    if with_positive < 2 or with_negative < 2:
        return Areas(values, np.full((len(scores),) * 2, np.nan))
    n_occupied = len(np.unique(index))
    shared = up.T @ down * (n_occupied / (n_occupied - 1))
    covariance = (
        up.T @ up * (with_positive / (with_positive - 1) / n_positive**2)
        + down.T @ down * (with_negative / (with_negative - 1) / n_negative**2)
        + (shared + shared.T) / (n_positive * n_negative)
    )
    return Areas(values, covariance)


def normal_interval(value: float, variance: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of the normal distribution around a value."""
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(max(variance, 0.0))
    return value - reach, value + reach


def difference_p_value(difference: float, variance: float) -> float:
    """Two-sided p-value of "no difference"; without variance, 1 if they are equal, else 0."""
    if variance <= 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / math.sqrt(2 * variance))


def _components(is_positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fraction of negatives below each positive, and of positives above each negative.

    Ties count one half.
    """
    positives, negatives = scores[is_positive], scores[~is_positive]
    rising_positives, rising_negatives = np.sort(positives), np.sort(negatives)
    below = np.searchsorted(rising_negatives, positives, side="left")
    below = below + np.searchsorted(rising_negatives, positives, side="right")
    above = np.searchsorted(rising_positives, negatives, side="left")
    above = above + np.searchsorted(rising_positives, negatives, side="right")
    return below / (2 * len(negatives)), 1 - above / (2 * len(positives))
