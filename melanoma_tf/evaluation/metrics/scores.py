"""The figures of a classifier as a dictionary that JSON can carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def classification_scores(
    labels: np.ndarray, scores: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Score one column of scores per class against the true classes.

    Args:
        labels: int `(images,)`, class index; -1 (unknown) is left out.
        scores: float `(images, classes)`, finite; larger means more of that class.
        class_names: in the order of the columns.

    Returns:
        `n`, `classes`, `n_per_class`, `accuracy`, `balanced_accuracy` (mean sensitivity of the
        classes that have examples; a tie for the largest score is wrong, as in ISIC 2018),
        `auc` by class (one against the rest), `mean_auc` (of the defined ones),
        `confusion_matrix` (rows true, columns predicted; ties in no column) and `undefined`:
        the name of each figure that the examples do not define, with the reason; its value is
        None, never 0 or 1.
    """
    known = labels >= 0
    labels, scores = labels[known], scores[known]
    n_classes = len(class_names)
    is_largest = scores == scores.max(axis=1, keepdims=True) if len(scores) else scores > 0
    decided = is_largest.sum(axis=1) == 1
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(confusion, (labels[decided], is_largest.argmax(axis=1)[decided]), 1)
    n_per_class = np.bincount(labels, minlength=n_classes)
    undefined = {}
    auc: dict[str, float | None] = {}
    for index, name in enumerate(class_names):
        auc[name] = _auc(labels == index, scores[:, index])
        if auc[name] is None:
            what = "no example" if n_per_class[index] == 0 else "no other class"
            undefined[f"auc.{name}"] = f"{what} of {name}"
    present = n_per_class > 0
    defined = [value for value in auc.values() if value is not None]
    recalls = np.diag(confusion)[present] / n_per_class[present]
    return {
        "n": len(labels),
        "classes": list(class_names),
        "n_per_class": dict(zip(class_names, n_per_class.tolist())),
        "accuracy": float(np.trace(confusion) / len(labels)) if len(labels) else None,
        "balanced_accuracy": float(recalls.mean()) if present.any() else None,
        "auc": auc,
        "mean_auc": float(np.mean(defined)) if defined else None,
        "confusion_matrix": confusion.tolist(),
        "undefined": undefined,
    }


def _auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Share of pairs (positive, negative) in the right order, ties counting one half."""
    negatives = np.sort(scores[~positive])
    if positive.sum() == 0 or negatives.size == 0:
        return None
    below = np.searchsorted(negatives, scores[positive], side="left")
    not_above = np.searchsorted(negatives, scores[positive], side="right")
    return float((below + not_above).mean() / 2 / negatives.size)
