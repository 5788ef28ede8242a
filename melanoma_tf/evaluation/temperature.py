"""Temperature scaling, alone or with a bias of each class.

Guo et al. 2017, "On Calibration of Modern Neural Networks": logits are divided by a temperature
before the softmax. The class of the largest probability does not change.

Alexandari et al. 2020, "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label
Shift Adaptation": a bias of each class is added, too. Probabilities then assume the prevalence of
the fitted images, and can be moved to another one (Saerens et al. 2002; Menon et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import logsumexp, softmax

from melanoma_tf.core.errors import MelanomaError

# Beyond these a probability is a flat guess or a certainty, and a validation set cannot tell more.
LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.05, 20.0

Bound = Literal["least", "largest"]


@dataclass(frozen=True)
class LogitScale:
    """The affine map of logits that calibration fits; the default changes nothing.

    Attributes:
        temperature: logits are divided by it; above 0.
        biases: added to them after that, one for each class; empty for none.
    """

    temperature: float = 1.0
    biases: tuple[float, ...] = ()

    def apply(self, logits: Any) -> Any:
        """Scale logits `(..., classes)`, floats of NumPy, TensorFlow or Keras, likewise returned.

        Example:
            >>> LogitScale(2.0, (0.5, -0.5)).apply(np.array([4.0, 2.0])).tolist()
            [2.5, 0.5]
        """
        scaled = logits / self.temperature
        return scaled + list(self.biases) if self.biases else scaled

    def at_prevalence(self, fitted: Sequence[float], target: Sequence[float]) -> LogitScale:
        """Move probabilities from one prevalence of the classes to another, by Bayes' rule.

        They are multiplied by `target / fitted` and add up to 1 again (Saerens et al. 2002).

        Args:
            fitted: fraction of each class among the fitted images, above 0.
            target: the same where the probabilities are used.
        """
        biases = self.biases or (0.0,) * len(fitted)
        moved = (b + math.log(new / old) for b, old, new in zip(biases, fitted, target))
        return replace(self, biases=tuple(moved))


UNSCALED = LogitScale()


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


def fit_bias_corrected(
    logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> tuple[Temperature, tuple[float, ...]]:
    """Fit the temperature and biases with the smallest negative log-likelihood.

    The likelihood is convex in the inverse temperature and the biases. It has its minimum within
    the bounds of the temperature where each class has an image: a bias that runs off would make
    the images of another class ever less likely. At the minimum, the mean probability of a class
    over the images is its fraction of them.

    Args:
        logits: float `(images, views, classes)` or `(images, classes)`, finite. Each view counts
            as an image of its own.
        labels: int `(images,)`, class index.
        class_names: in the order of the logits, for messages.

    Returns:
        The temperature, and a bias for each class, with a mean of 0.

    Raises:
        MelanomaError: as `fit_temperature`; a class without an image.

    Example:
        >>> temperature, biases = fit_bias_corrected(np.zeros((4, 2)), np.array([0, 0, 0, 1]),
        ...                                          ("nevus", "melanoma"))
        >>> [round(bias, 3) for bias in biases]  # The classes are 3 to 1: half of log(3).
        [0.549, -0.549]
    """
    flat, of_views = _checked(logits, labels)
    absent = set(range(len(class_names))) - set(of_views.tolist())
    if absent:
        names = ", ".join(class_names[index] for index in sorted(absent))
        raise MelanomaError(
            f"expected an image of each class to fit biases; found none of {names:.200}"
        )
    # The softmax ignores the mean of a row, and biases absorb that of a column. Without both means,
    # temperature and biases are hardly correlated, and the search converges where they are large.
    rows = flat - flat.mean(axis=1, keepdims=True)
    offsets = rows.mean(axis=0)
    centred = rows - offsets
    if np.abs(centred).max() <= 1e-12 * np.abs(flat).max():  # Rounding of what is equal.
        inverse, biases = 1.0, np.log(np.bincount(of_views) / len(of_views))
    else:
        inverse, biases = _most_likely(centred, of_views)
    biases -= inverse * offsets
    return _temperature(1 / inverse), tuple((biases - biases.mean()).tolist())


def _most_likely(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Search the most likely inverse temperature, and biases."""
    truth = np.eye(logits.shape[1])[labels]
    unit = float(np.abs(logits).mean())  # Divided by it, logits have the size of the biases.

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean negative log-likelihood and its derivatives."""
        scaled = logits * (values[0] / unit) + values[1:]
        error = softmax(scaled, axis=-1) - truth
        mean = float((logsumexp(scaled, axis=1) - (scaled * truth).sum(axis=1)).mean())
        slope = (error * logits).sum(axis=1).mean() / unit
        return mean, np.concatenate([[slope], error.mean(axis=0)])

    least, largest = unit / LARGEST_TEMPERATURE, unit / LEAST_TEMPERATURE
    found = minimize(
        loss,
        [np.clip(1.0, least, largest), *np.log(truth.mean(axis=0))],
        jac=True,
        method="L-BFGS-B",
        bounds=[(least, largest), *[(None, None)] * truth.shape[1]],
        options={"maxiter": 1000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    values = found.x
    # Where all images are classified correctly, more confidence is better, by ever smaller steps.
    surer = values * (largest / values[0])
    if loss(surer)[0] < found.fun or found.fun == 0:
        values = surer
    return float(values[0] / unit), values[1:]


def probabilities(logits: np.ndarray, scale: LogitScale = UNSCALED) -> np.ndarray:
    """Probabilities of an image: the mean over its views, the logits of each scaled.

    Args:
        logits: float `(images, views, classes)`.
        scale: of the logits.

    Returns:
        float64 `(images, classes)`, rows that sum to 1.
    """
    mean = softmax(scale.apply(np.asarray(logits, np.float64)), axis=-1).mean(axis=1)
    return np.asarray(mean, np.float64)


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of minus the logarithm of the true class's probability, in nats.

    Args:
        scores: probabilities, float64 `(images, classes)`; below the smallest float they are cut.
        labels: int `(images,)`.
    """
    right = scores[np.arange(len(scores)), labels]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def _temperature(value: float) -> Temperature:
    """A temperature as it is, or at the bound that it has reached."""
    if math.isclose(value, LEAST_TEMPERATURE, rel_tol=1e-9):
        return Temperature(LEAST_TEMPERATURE, "least")
    if math.isclose(value, LARGEST_TEMPERATURE, rel_tol=1e-9):
        return Temperature(LARGEST_TEMPERATURE, "largest")
    return Temperature(float(value))


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
