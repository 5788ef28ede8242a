"""Metrics of one class against the rest, for many weightings of the same images at once.

A resample of a bootstrap is a weighting: how often each image was drawn. The images are sorted
once; each weighting then costs two cumulative sums, from which all metrics of the ROC curve follow.
scikit-learn sorts again for each metric of each weighting, which takes a bootstrap minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.5
# Metrics of the decision at that score: they mean something for scores in [0, 1] only.
AT_THRESHOLD = ("class_accuracy", "sensitivity", "specificity", "dice", "ppv", "npv")
SENSITIVITIES = (0.82, 0.89, 0.95)


@dataclass(frozen=True)
class RankedClass:
    """One class against the rest, sorted by falling score.

    A step is a distinct score among the positives: the ROC curve rises at steps alone.

    Attributes:
        positives: int `(positives,)`, indices of images of the class.
        negatives: int `(negatives,)`, indices of images known to be of no such class.
        step_ends: int `(steps,)`, how many positives have at least the step's score.
        negatives_above: int `(steps,)`, how many negatives have a larger score than the step's.
        negatives_reached: int `(steps,)`, how many have at least the step's score.
        positives_called, negatives_called: how many have a score above 0.5.
    """

    positives: np.ndarray
    negatives: np.ndarray
    step_ends: np.ndarray
    negatives_above: np.ndarray
    negatives_reached: np.ndarray
    positives_called: int
    negatives_called: int


def rank_class(is_positive: np.ndarray, is_known: np.ndarray, scores: np.ndarray) -> RankedClass:
    """Sort the images once.

    Args:
        is_positive: bool `(images,)`, of the class.
        is_known: bool `(images,)`; the others are left out of this class's metrics.
        scores: float `(images,)`, larger means more of the class.
    """
    order = np.argsort(-scores, kind="stable")
    if not is_known.all():
        order = order[is_known[order]]
    leads = is_positive[order]
    positives, negatives = order[leads], order[~leads]
    del order  # The peak of memory comes below.
    positive_scores = scores[positives]
    rising_negatives = scores[negatives][::-1]
    is_last = np.ones(len(positives), dtype=bool)
    is_last[:-1] = positive_scores[1:] != positive_scores[:-1]
    step_ends = np.flatnonzero(is_last) + 1
    step_scores = positive_scores[step_ends - 1]
    below = np.searchsorted(rising_negatives, step_scores, side="left")
    not_above = np.searchsorted(rising_negatives, step_scores, side="right")
    return RankedClass(
        positives=positives,
        negatives=negatives,
        step_ends=step_ends,
        negatives_above=len(negatives) - not_above,
        negatives_reached=len(negatives) - below,
        positives_called=int((positive_scores > THRESHOLD).sum()),
        negatives_called=int((rising_negatives > THRESHOLD).sum()),
    )


def ranking_metrics(
    ranked: RankedClass,
    weights: np.ndarray,
    *,
    sensitivities: Sequence[float] = SENSITIVITIES,
    min_tpr: float = 0.8,
    official: bool = False,
) -> dict[str, np.ndarray]:
    """Compute every metric of one class against the rest.

    Args:
        ranked: the images, sorted.
        weights: int or float `(rounds, images)`, not negative: how often each image counts.
        sensitivities: for `specificity_at_sensitivity`, in (0, 1].
        min_tpr: the sensitivity above which ISIC 2024's partial area is taken, in [0, 1).
        official: where the examples do not define a metric, give what the ISIC scorer gives: 1 for
            0 / 0 at the threshold, and 0 for the average precision of a class without examples.

    Returns:
        Float64 `(rounds,)` by name, NaN where a round does not define the metric:
        `auc` (ties count one half); `average_precision` (the step-wise sum, as scikit-learn and
        the ISIC scorer); `auc_above_sensitivity_80` (the 2018 scorer's: the area under that part
        of the curve, down to sensitivity zero, from 80 % sensitivity on, in [0, 1]);
        `partial_auc_isic2024` (the area between the curve and the line at `min_tpr`, in
        [0, 1 - min_tpr]); `specificity_at_sensitivity/0.82` and so on (ISIC 2017: of the first
        threshold, from the top, that reaches the sensitivity); and at score > 0.5 the metrics
        of `AT_THRESHOLD`.
    """
    true_positives = _running(weights, ranked.positives)
    false_positives = _running(weights, ranked.negatives)
    curve = _curve(ranked, true_positives, false_positives)
    metrics = {"auc": curve.area[:, -1].copy(), "average_precision": _average_precision(curve)}
    metrics["auc_above_sensitivity_80"] = _area_from(curve, 0.8, base=0.0)
    metrics["partial_auc_isic2024"] = _area_from(curve, min_tpr, base=min_tpr)
    is_defined = ~np.isnan(curve.area[:, -1])
    for sensitivity in sensitivities:
        specificity = 1.0 - _pick(curve.right, _first_step(curve, sensitivity))
        name = f"specificity_at_sensitivity/{sensitivity:g}"
        metrics[name] = np.where(is_defined, specificity, np.nan)
    metrics.update(
        _threshold_metrics(
            true_positives[:, ranked.positives_called],
            false_positives[:, ranked.negatives_called],
            true_positives[:, -1],
            false_positives[:, -1],
            official=official,
        )
    )
    if official:
        precision = metrics["average_precision"]
        without = np.where(true_positives[:, -1] > 0, 1.0, 0.0)
        metrics["average_precision"] = np.where(np.isnan(precision), without, precision)
    return metrics


@dataclass(frozen=True)
class _Curve:
    """ROC curves by step, each array `(rounds, steps)`.

    A step is a segment from (left, bottom) to (right, top), reached horizontally.
    """

    left: np.ndarray  # false positive rate
    right: np.ndarray
    bottom: np.ndarray  # sensitivity
    top: np.ndarray
    area: np.ndarray  # over the true positive axis, of all steps up to and with this one
    true_positives: np.ndarray  # counts, at the segment's end
    false_positives: np.ndarray


def _running(weights: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Cumulative weight of the images in their order, with a zero before: `(rounds, n + 1)`.

    Counts stay integers: their sums take a third of the time of floats.
    """
    whole = np.issubdtype(weights.dtype, np.integer)
    sums = np.zeros((len(weights), len(images) + 1), dtype=np.int64 if whole else np.float64)
    # "clip" spares the check of every index; they are in range by construction.
    drawn = np.take(weights, images, axis=1, mode="clip")
    np.cumsum(drawn, axis=1, out=sums[:, 1:])
    return sums


def _curve(ranked: RankedClass, positives: np.ndarray, negatives: np.ndarray) -> _Curve:
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no positive, or no negative, was drawn
        scale_up, scale_right = positives[:, -1:], negatives[:, -1:]
        reached = positives[:, ranked.step_ends]
        false_positives = negatives[:, ranked.negatives_reached]
        top = reached / scale_up
        left = negatives[:, ranked.negatives_above] / scale_right
        right = false_positives / scale_right
        bottom = np.concatenate([np.zeros_like(top[:, :1]), top[:, :-1]], axis=1)
        area = np.cumsum((top - bottom) * (1.0 - (left + right) / 2), axis=1)
        if not area.shape[1]:
            area = np.full((len(positives), 1), np.nan)
    return _Curve(left, right, bottom, top, area, reached, false_positives)


def _average_precision(curve: _Curve) -> np.ndarray:
    if not curve.top.shape[1]:
        return np.full(len(curve.top), np.nan)
    called = curve.true_positives + curve.false_positives
    # Where nothing is called, no step has risen either: any precision will do.
    precision = curve.true_positives / np.where(called == 0, 1.0, called)
    metric = ((curve.top - curve.bottom) * precision).sum(axis=1)
    # Defined without negatives (it is 1 then), but one class alone is no classification.
    return np.where(np.isnan(curve.area[:, -1]), np.nan, metric)


def _first_step(curve: _Curve, sensitivity: float) -> np.ndarray:
    """Index `(rounds,)` of the first step whose end reaches the sensitivity."""
    if not curve.top.shape[1]:
        return np.zeros(len(curve.top), dtype=np.int64)
    return (curve.top >= sensitivity).argmax(axis=1)


def _pick(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    return values[np.arange(len(values)), step]


def _area_from(curve: _Curve, sensitivity: float, *, base: float) -> np.ndarray:
    """Area under the curve and above `base`, right of where it reaches the sensitivity.

    That point lies on the segment which crosses the sensitivity, found by linear interpolation.
    """
    step = _first_step(curve, sensitivity)
    left, right = _pick(curve.left, step), _pick(curve.right, step)
    bottom, top = _pick(curve.bottom, step), _pick(curve.top, step)
    rise = np.where(top > bottom, top - bottom, 1.0)
    crossing = left + (right - left) * (sensitivity - bottom) / rise
    above = (top - sensitivity) * (1.0 - (crossing + right) / 2)
    above = above + curve.area[:, -1] - _pick(curve.area, step)
    return above + (sensitivity - base) * (1.0 - crossing)


def _threshold_metrics(
    true_positives: np.ndarray,
    false_positives: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    *,
    official: bool,
) -> dict[str, np.ndarray]:
    true_negatives = negatives - false_positives
    called = true_positives + false_positives
    # A class without examples would have a predictive value of 0 or 1 for any scores.
    both = np.where((positives > 0) & (negatives > 0) | official, 1.0, np.nan)
    with np.errstate(invalid="ignore"):
        metrics = {
            "sensitivity": true_positives / positives,
            "specificity": true_negatives / negatives,
            "ppv": both * true_positives / called,
            "npv": both * true_negatives / (positives + negatives - called),
            "dice": both * 2 * true_positives / (positives + called),
            "class_accuracy": (true_positives + true_negatives) / (positives + negatives),
        }
    if official:
        return {name: np.where(np.isnan(each), 1.0, each) for name, each in metrics.items()}
    return metrics
