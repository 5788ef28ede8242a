"""Reliability by hand and against the scores."""

import numpy as np
import pytest

from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.reliability import reliability


@pytest.fixture(params=[0, 1, 2], ids=lambda seed: f"seed {seed}")
def scored(request):
    """Labels of three classes and probabilities with many ties."""
    generator = np.random.default_rng(request.param)
    labels = generator.integers(0, 3, 100)
    scores = np.round(generator.dirichlet(np.ones(3), 100) + 0.4 * np.eye(3)[labels], 1)
    return labels, scores / scores.sum(axis=1, keepdims=True)


def test_bins_by_hand():
    bins = reliability(np.array([0.0, 0.2, 0.21, 1.0]), np.array([0, 1, 0, 1], bool), bins=5)
    assert [(each.low, each.count, each.frequency) for each in bins] == [
        (0.0, 2, 0.5), (0.2, 1, 0.0), (0.8, 1, 1.0)
    ]  # fmt: skip
    assert bins[0].probability == pytest.approx(0.1)


def test_the_bins_give_the_expected_calibration_error_of_the_scores(scored):
    labels, scores = scored
    largest = scores.max(axis=1)
    right = (scores.argmax(axis=1) == labels) & ((scores == largest[:, None]).sum(axis=1) == 1)
    bins = reliability(largest, right)
    error = sum(each.count * abs(each.frequency - each.probability) for each in bins) / len(labels)
    told = classification_scores(labels, scores, ("a", "b", "c"))["expected_calibration_error"]
    assert error == pytest.approx(told)
