"""Sensitivity of the highest scores of each patient: the secondary metric of ISIC 2024."""

from __future__ import annotations

import numpy as np

TOP = 15


def top_retrieval_sensitivity(
    is_positive: np.ndarray, scores: np.ndarray, patients: np.ndarray, top: int = TOP
) -> float:
    """Return the fraction of positives among the `top` highest scores of their patients.

    A physician with few minutes looks at so many lesions of a patient
    (github.com/ISIC-Research/Challenge-2024-Metrics). Images that tie for the last places share
    them: each counts as the fraction of the places left.

    Args:
        is_positive: bool `(images,)`.
        scores: float `(images,)`, larger means more likely positive.
        patients: int `(images,)`, whose image it is.
        top: places for each patient, at least 1.

    Returns:
        In [0, 1]; NaN without positives.
    """
    n_positives = int(is_positive.sum())
    if not n_positives:
        return float("nan")
    order = np.lexsort((-scores, patients))
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    found = 0.0
    for images in np.split(order, starts[1:]):
        positive, own = is_positive[images], scores[images]
        last = own[min(top, len(own)) - 1]
        places = top - int((own > last).sum())
        tied = own == last
        share = min(1.0, places / int(tied.sum()))
        found += float((positive & (own > last)).sum() + share * (positive & tied).sum())
    return found / n_positives
