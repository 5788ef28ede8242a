"""DeLong's covariance against its definition over all pairs, and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from melanoma_tf.evaluation.metrics.delong import delong, difference_p_value, normal_interval


def by_all_pairs(truth, scores):
    """DeLong, DeLong and Clarke-Pearson 1988, equations 3 to 6, over all m * n pairs."""
    over_negatives, over_positives = [], []
    for score in scores:
        pairs = np.sign(score[truth][:, None] - score[~truth][None]) / 2 + 0.5
        over_negatives.append(pairs.mean(axis=1))
        over_positives.append(pairs.mean(axis=0))
    covariance = np.cov(over_negatives) / truth.sum() + np.cov(over_positives) / (~truth).sum()
    return np.atleast_2d(covariance)


def by_clusters(truth, score, groups):
    """Obuchowski 1997 for one score, by loops over the clusters."""
    pairs = np.sign(score[truth][:, None] - score[~truth][None]) / 2 + 0.5
    up, down, area = pairs.mean(axis=1), pairs.mean(axis=0), pairs.mean()
    names = np.unique(groups)
    sums_up = np.array([(up[groups[truth] == name] - area).sum() for name in names])
    sums_down = np.array([(down[groups[~truth] == name] - area).sum() for name in names])
    with_up = len(np.unique(groups[truth]))
    with_down = len(np.unique(groups[~truth]))
    m, n, all_ = truth.sum(), (~truth).sum(), len(names)
    s10 = with_up / ((with_up - 1) * m) * (sums_up**2).sum()
    s01 = with_down / ((with_down - 1) * n) * (sums_down**2).sum()
    s11 = all_ / (all_ - 1) * (sums_up * sums_down).sum()
    return s10 / m + s01 / n + 2 * s11 / (m * n)


@given(seed=st.integers(0, 10_000), levels=st.integers(1, 12))
def test_area_and_covariance_follow_the_definition(seed, levels):
    generator = np.random.default_rng(seed)
    truth = generator.random(25) < 0.4
    truth[:4] = True, True, False, False
    scores = [generator.integers(0, levels + 1, 25) + truth for _ in range(2)]
    found = delong(truth, scores)
    for index, score in enumerate(scores):
        assert found.values[index] == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    np.testing.assert_allclose(found.covariance, by_all_pairs(truth, scores), atol=1e-12)


def test_clusters_follow_their_definition_and_single_images_are_delongs():
    generator = np.random.default_rng(2)
    truth = generator.random(60) < 0.4
    score = generator.normal(size=60) + truth
    groups = generator.integers(0, 17, 60)
    found = delong(truth, [score], groups).covariance[0, 0]
    assert found == pytest.approx(by_clusters(truth, score, groups), abs=1e-12)
    alone = delong(truth, [score], np.arange(60)).covariance
    np.testing.assert_allclose(alone, by_all_pairs(truth, [score]), atol=1e-12)


def test_interval_covers_the_true_area_in_95_of_100_studies():
    """Two normals one standard deviation apart have the area Phi(1 / sqrt 2) = 0.760."""
    generator = np.random.default_rng(0)
    true_area = stats.norm.cdf(1 / np.sqrt(2))
    truth = np.arange(200) < 80
    covered = 0
    for _ in range(400):
        found = delong(truth, [generator.normal(size=200) + truth])
        low, high = normal_interval(found.values[0], found.covariance[0, 0])
        covered += low <= true_area <= high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


def test_equal_classifiers_differ_at_the_5_percent_level_in_one_study_of_twenty():
    generator = np.random.default_rng(1)
    truth, contrast = np.arange(200) < 70, np.array([-1, 1])
    p_values = []
    for _ in range(400):
        common = generator.normal(size=200) + truth
        found = delong(truth, [common + 0.5 * generator.normal(size=200) for _ in range(2)])
        variance = contrast @ found.covariance @ contrast
        p_values.append(difference_p_value(contrast @ found.values, variance))
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


def test_p_values_are_those_of_the_normal_distribution():
    assert difference_p_value(1.96, 1.0) == pytest.approx(2 * stats.norm.sf(1.96))
    assert difference_p_value(-0.1, 0.01) == pytest.approx(2 * stats.norm.sf(1))
    assert difference_p_value(0.0, 0.0) == 1.0
    assert normal_interval(0.8, 0.01) == pytest.approx(stats.norm.interval(0.95, 0.8, 0.1))


def test_one_positive_has_an_area_but_no_variance_and_none_has_neither():
    score = np.array([0.9, 0.1, 0.5, 0.95])
    one = delong(np.array([True, False, False, False]), [score])
    assert one.values[0] == pytest.approx(2 / 3)
    assert np.isnan(one.covariance).all()
    none = delong(np.zeros(4, dtype=bool), [score])
    assert np.isnan(none.values).all()
    patient = delong(np.array([True, True, False, False]), [score], np.array([0, 0, 1, 2]))
    assert np.isnan(patient.covariance).all()
