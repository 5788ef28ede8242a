"""ISIC 2024's sensitivity of the highest scores of each patient."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.evaluation.metrics.retrieval import top_retrieval_sensitivity


def by_hand(positive, scores, patients, top):
    """Each patient's lesions sorted, the first so many looked at; no ties."""
    found = 0
    for patient in set(patients.tolist()):
        own = np.flatnonzero(patients == patient)
        found += positive[own[np.argsort(-scores[own])][:top]].sum()
    return found / positive.sum()


@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 60))
def test_without_ties_it_is_the_share_found_at_the_top(seed, top, n_images):
    generator = np.random.default_rng(seed)
    positive = generator.random(n_images) < 0.3
    positive[0] = True
    scores = generator.permutation(n_images) / n_images
    patients = generator.integers(0, 4, n_images)
    expected = by_hand(positive, scores, patients, top)
    assert top_retrieval_sensitivity(positive, scores, patients, top) == pytest.approx(expected)


def test_ties_share_the_last_places_and_no_positive_is_undefined():
    positive = np.array([True, False, False, True])
    patients = np.zeros(4, int)
    # One place for the three that tie behind the first.
    assert top_retrieval_sensitivity(positive, np.array([2.0, 1, 1, 1]), patients, 2) == (
        pytest.approx((1 + 1 / 3) / 2)
    )
    assert np.isnan(top_retrieval_sensitivity(np.zeros(4, bool), np.ones(4), patients))
