"""Metrics of the decision for one class out of all, for many weightings of the same images.

scikit-learn's `confusion_matrix` takes one weighting a call, and has no column for ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melanoma_tf.core.errors import MelanomaError

CALIBRATION_BINS = 15
_BLOCK = 65_536


@dataclass(frozen=True)
class Decisions:
    """Decided and true class of each image.

    Attributes:
        n_classes: how many classes there are.
        images: int `(known,)`, indices of the images whose class is known.
        cells: int `(known,)`, `true * (n_classes + 1) + decided`; a tie for the largest score
            decides for the class `n_classes`, which no image has.
        calibration: `(bins, errors)` where the scores are probabilities; else None.
    """

    n_classes: int
    images: np.ndarray
    cells: np.ndarray
    calibration: Calibration | None


@dataclass(frozen=True)
class Calibration:
    """Differences between probabilities and truth, by image.

    Attributes:
        bins: int `(known,)`, which of the equal bins the largest probability falls into.
        gaps: float64 `(known,)`, 1 where the decision is right, else 0, less that probability.
        brier: float64 `(known,)`, squared distance between probabilities and truth, in [0, 2].
    """

    bins: np.ndarray
    gaps: np.ndarray
    brier: np.ndarray


def look_like_probabilities(scores: np.ndarray) -> bool:
    """Test if every row lies in [0, 1] and sums to 1 within 0.02 (files rounded to two digits)."""
    in_range = bool(np.all((scores >= 0) & (scores <= 1)))
    return in_range and bool(np.all(np.abs(scores.sum(axis=1) - 1) <= 0.02))


def decide(labels: np.ndarray, scores: np.ndarray) -> Decisions:
    """Decide for the class of the largest score.

    Args:
        labels: int `(images,)`, class index, -1 where unknown.
        scores: float `(images, classes)`, at least one class.
    """
    n_classes = scores.shape[1]
    if n_classes == 0:
        raise MelanomaError("expected at least one class, found none")
    images = np.flatnonzero(labels >= 0)
    known = labels[images]
    if len(images) < len(labels):
        scores = scores[images]
    decided = decided_classes(scores)
    calibration = None
    if len(images) and look_like_probabilities(scores):
        confidence = scores.max(axis=1)
        bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, None)
        calibration = Calibration(
            bins=np.minimum(bins, CALIBRATION_BINS - 1),
            gaps=(decided == known) - confidence,
            brier=_brier(known, scores),
        )
    return Decisions(n_classes, images, known * (n_classes + 1) + decided, calibration)


def _brier(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Squared distances between scores and truth, float64 `(images,)`."""
    truth, brier = np.eye(scores.shape[1]), np.empty(len(scores))
    # In blocks: three more arrays of the size of the scores would be the peak of all memory.
    for start in range(0, len(scores), _BLOCK):
        part = slice(start, start + _BLOCK)
        brier[part] = ((scores[part] - truth[labels[part]]) ** 2).sum(axis=1)
    return brier


def decided_classes(scores: np.ndarray) -> np.ndarray:
    """Class of the largest score, int `(images,)`; the number of classes where several tie.

    Args:
        scores: float `(images, classes)`.
    """
    is_tied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return np.where(is_tied, scores.shape[1], scores.argmax(axis=1))


def confusion(decisions: Decisions, weights: np.ndarray) -> np.ndarray:
    """Confusion matrices, float64 `(rounds, classes, classes + 1)`; the last column holds ties.

    Args:
        decisions: of the images.
        weights: int or float `(rounds, images)`, not negative.
    """
    n_classes = decisions.n_classes
    drawn = np.take(weights, decisions.images, axis=1, mode="clip")
    counts = _sums(decisions.cells, drawn, n_classes * (n_classes + 1))
    return counts.reshape(len(weights), n_classes, n_classes + 1)


def decision_metrics(decisions: Decisions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every metric of the decision for one class out of all.

    Args:
        decisions: of the images.
        weights: int or float `(rounds, images)`, not negative.

    Returns:
        Float64 `(rounds,)` by name, NaN where a round does not define the metric: `accuracy`;
        `balanced_accuracy` (ISIC 2018: the mean recall of the classes that have examples; ties
        are wrong); where the scores are probabilities,
        `expected_calibration_error` (Guo et al. 2017: 15 equal bins of the largest probability)
        and `brier_score` (Brier 1950: mean squared distance over all classes, in [0, 2]).
    """
    counts = confusion(decisions, weights)
    right = np.diagonal(counts, axis1=1, axis2=2)
    by_class = counts.sum(axis=2)
    total = by_class.sum(axis=1)
    present = by_class > 0
    with np.errstate(invalid="ignore"):
        recalls = right / np.where(present, by_class, 1.0)
        metrics = {
            "accuracy": right.sum(axis=1) / total,
            "balanced_accuracy": recalls.sum(axis=1) / present.sum(axis=1),
        }
        if decisions.calibration is not None:
            drawn = np.take(weights, decisions.images, axis=1, mode="clip")
            gaps = _sums(
                decisions.calibration.bins, drawn * decisions.calibration.gaps, CALIBRATION_BINS
            )
            metrics["expected_calibration_error"] = np.abs(gaps).sum(axis=1) / total
            metrics["brier_score"] = drawn @ decisions.calibration.brier / total
    return metrics


def _sums(codes: np.ndarray, values: np.ndarray, n_codes: int) -> np.ndarray:
    """Sum of each row's values by code: float64 `(rounds, n_codes)`."""
    sums = [np.bincount(codes, weights=row, minlength=n_codes) for row in values]
    return np.array(sums, dtype=np.float64).reshape(len(values), n_codes)
