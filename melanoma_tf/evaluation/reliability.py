"""Reliability of probabilities, by bin.

scikit-learn's `calibration_curve` returns no counts, which the intervals need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from melanoma_tf.evaluation.metrics.decisions import CALIBRATION_BINS
from melanoma_tf.evaluation.metrics.intervals import LEVEL


@dataclass(frozen=True)
class ReliabilityBin:
    """Images whose probability falls into one bin.

    Attributes:
        low, high: the bin, open below and closed above.
        count: images in it, at least 1.
        probability: their mean.
        frequency: how often what was predicted with it is so, in [0, 1].
        interval: Wilson's 95 % interval of the frequency.
    """

    low: float
    high: float
    count: int
    probability: float
    frequency: float
    interval: tuple[float, float]


def reliability(
    probabilities: np.ndarray, is_so: np.ndarray, bins: int = CALIBRATION_BINS
) -> list[ReliabilityBin]:
    """Predicted probabilities against how often they came true; empty bins are left out.

    Args:
        probabilities: float `(images,)`, in [0, 1].
        is_so: bool `(images,)`.
        bins: of equal width, as for the expected calibration error.
    """
    index = np.clip(np.ceil(probabilities * bins).astype(np.int64) - 1, 0, bins - 1)
    found = []
    for number in np.unique(index).tolist():
        inside = index == number
        count, right = int(inside.sum()), int(is_so[inside].sum())
        limits = binomtest(right, count).proportion_ci(LEVEL, "wilson")
        found.append(
            ReliabilityBin(
                number / bins,
                (number + 1) / bins,
                count,
                float(probabilities[inside].mean()),
                right / count,
                (float(limits.low), float(limits.high)),
            )
        )
    return found
