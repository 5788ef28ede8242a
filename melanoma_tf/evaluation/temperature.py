"""Temperature scaling: one number that fits a classifier's confidence to its accuracy.

Guo et al. 2017, "On Calibration of Modern Neural Networks": logits are divided by a temperature
before the softmax. The class of the largest probability does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from melanoma_tf.core.errors import MelanomaError

# Beyond these a probability is a flat guess or a certainty, and a validation set cannot tell more.
LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.05, 20.0

Bound = Literal["least", "largest"]


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: logits are divided by it; above 1 where the network was overconfident.
        at_bound: `least` where the search ended at `LEAST_TEMPERATURE` (every image is classified
            correctly, so that more confidence is always better), `largest` where it ended at
            `LARGEST_TEMPERATURE` (the logits are worse than guessing), else None.
    """

    value: float
    at_bound: Bound | None = None


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> Temperature:
    """Fit the temperature with the smallest negative log-likelihood.

    The likelihood is convex in the inverse temperature: the root of its derivative is the minimum,
    and is bracketed, so that the search always ends.

    Args:
        logits: float `(images, views, classes)` or `(images, classes)`, finite. Each view counts
            as an image of its own.
        labels: int `(images,)`, class index.

    Raises:
        MelanomaError: no image, shapes that do not fit, logits that are not finite.
    """
    flat, labels = _checked(logits, labels)
    right = flat[np.arange(len(flat)), labels]

    def slope(inverse: float) -> float:
        """Derivative of the mean negative log-likelihood by the inverse temperature."""
        return float(((softmax(inverse * flat, axis=-1) * flat).sum(axis=1) - right).mean())

    flattest, sharpest = 1 / LARGEST_TEMPERATURE, 1 / LEAST_TEMPERATURE
    if np.ptp(flat, axis=1).max() == 0:  # No temperature changes equal logits.
        return Temperature(1.0)
    if slope(sharpest) <= 0:
        return Temperature(LEAST_TEMPERATURE, "least")
    if slope(flattest) >= 0:
        return Temperature(LARGEST_TEMPERATURE, "largest")
    return Temperature(1 / float(brentq(slope, flattest, sharpest, xtol=1e-12)))


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of an image: the mean over its views, each divided by the temperature.

    Args:
        logits: float `(images, views, classes)`.
        temperature: above 0.

    Returns:
        float64 `(images, classes)`, rows that sum to 1.
    """
    mean = softmax(np.asarray(logits, np.float64) / temperature, axis=-1).mean(axis=1)
    return np.asarray(mean, np.float64)


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of minus the logarithm of the true class's probability, in nats.

    Args:
        scores: probabilities, float64 `(images, classes)`; below the smallest float they are cut.
        labels: int `(images,)`.
    """
    right = scores[np.arange(len(scores)), labels]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim not in (2, 3) or labels.shape != logits.shape[:1] or not logits.size:
        raise MelanomaError(
            "expected logits of shape (images, views, classes) and as many labels; "
            f"found {logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise MelanomaError("expected finite logits; found NaN or infinity")
    views = logits.shape[1] if logits.ndim == 3 else 1
    return logits.reshape(-1, logits.shape[-1]), np.repeat(labels, views)
