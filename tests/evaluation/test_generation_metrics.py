"""Frechet and kernel distances, precision and recall, against sums written out and SciPy."""

import numpy as np
import pytest
from scipy import linalg

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.generation import (
    frechet_distance,
    kernel_distance,
    precision_and_recall,
)

RANDOM = np.random.default_rng(0)
REAL = RANDOM.normal(size=(40, 5))
OTHER = RANDOM.normal(0.5, 2.0, size=(30, 5))


def test_frechet_distance_is_scipys_matrix_root():
    covariances = [np.cov(each, rowvar=False) for each in (REAL, OTHER)]
    gap = REAL.mean(0) - OTHER.mean(0)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = gap @ gap + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(REAL, OTHER) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(REAL, REAL) == pytest.approx(0.0, abs=1e-8)
    # Fewer images than features: the covariances are singular.
    assert np.isfinite(frechet_distance(RANDOM.normal(size=(3, 9)), RANDOM.normal(size=(4, 9))))


def test_kernel_distance_is_the_double_sum():
    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    within = []
    for side in (REAL, OTHER):
        pairs = [kernel(x, y) for i, x in enumerate(side) for j, y in enumerate(side) if i != j]
        within.append(np.mean(pairs))
    across = np.mean([kernel(x, y) for x in REAL for y in OTHER])
    assert kernel_distance(REAL, OTHER) == pytest.approx(sum(within) - 2 * across, rel=1e-9)


def test_precision_and_recall_by_hand():
    """On a line: balls reach to the first neighbour."""
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    generated = np.array([[0.5], [1.5], [30.0]])
    # Balls of real: [-1, 1], [0, 2], [1, 3], [2, 18].
    # Of generated: [-0.5, 1.5], [0.5, 2.5], [1.5, 58.5].
    assert precision_and_recall(real, generated, neighbours=1) == (
        pytest.approx(2 / 3), pytest.approx(1.0),
    )  # fmt: skip
    assert precision_and_recall(real, generated + 100.0, neighbours=1)[0] == 0.0


def test_too_few_images_are_refused():
    for call in (frechet_distance, kernel_distance, precision_and_recall):
        with pytest.raises(MelanomaError, match="expected features of at least"):
            call(REAL[:1], OTHER)
