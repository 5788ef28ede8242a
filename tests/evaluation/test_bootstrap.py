"""The vectorised bootstrap against the plain loop over scikit-learn, on the same resamples."""

import numpy as np
import pytest
from scipy.special import softmax

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics import all_metrics, prepare
from melanoma_tf.evaluation.metrics import bootstrap as module
from melanoma_tf.evaluation.metrics.bootstrap import (
    bootstrap,
    bootstrap_p_value,
    group_indices,
    percentile_interval,
    resamples,
)
from melanoma_tf.evaluation.metrics.intervals import score_intervals
from tests.evaluation import reference

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def task_of(seed, n_images=150, decimals=None):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n_images)
    scores = softmax(generator.normal(size=(n_images, 3)) + 1.5 * np.eye(3)[labels], axis=1)
    return labels, scores if decimals is None else scores.round(decimals)


@pytest.mark.parametrize("decimals", [None, 2])
def test_every_metric_of_every_round_equals_the_plain_loop(decimals):
    labels, scores = task_of(1, decimals=decimals)
    untied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) == 1
    labels, scores = labels[untied], scores[untied]
    groups = np.arange(len(labels))
    found = bootstrap(prepare(labels, scores, NAMES), resamples(groups, 20, 3))
    counts = np.concatenate(list(resamples(groups, 20, 3)))
    for index, drawn in enumerate(counts):
        rows = np.repeat(groups, drawn)
        for path, value in reference.task_metrics(labels[rows], scores[rows], NAMES).items():
            assert found[path][index] == pytest.approx(value, abs=1e-9), path


def test_a_resample_draws_as_many_as_there_are_with_replacement():
    counts = np.concatenate(list(resamples(np.arange(50), 400, 0)))
    assert counts.shape == (400, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean() == 1
    # An image stays out of a resample with probability (1 - 1/50)^50 = 0.364.
    assert (counts == 0).mean() == pytest.approx(0.364, abs=0.01)


def test_images_of_one_patient_are_drawn_together():
    groups = group_indices(("p1", "p2", "p1", "", "", "p2"), 6)
    assert len(set(groups)) == 4
    counts = np.concatenate(list(resamples(groups, 50, 0)))
    np.testing.assert_array_equal(counts[:, 0], counts[:, 2])
    np.testing.assert_array_equal(counts[:, 1], counts[:, 5])
    assert (counts[:, 3] != counts[:, 4]).any()


def test_resamples_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    whole = np.concatenate(list(resamples(np.arange(30), 25, 5)))
    monkeypatch.setattr(module, "_WEIGHTS_AT_ONCE", 70)
    blocks = list(resamples(np.arange(30), 25, 5))
    assert max(len(block) for block in blocks) == 2
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    other = np.concatenate(list(resamples(np.arange(30), 25, 6)))
    assert (other != whole).any()


def test_rounds_without_a_class_are_left_out_and_counted():
    """One melanoma in twenty: about a third of the rounds draw none."""
    labels = np.array([0] + [1] * 19)
    scores = softmax(np.random.default_rng(0).normal(size=(20, 2)), axis=1)
    task = prepare(labels, scores, ("melanoma", "nevus"))
    found = bootstrap(task, resamples(np.arange(20), 200, 0))
    absent = np.concatenate(list(resamples(np.arange(20), 200, 0)))[:, 0] == 0
    assert absent.sum() > 30
    np.testing.assert_array_equal(np.isnan(found["auc", "melanoma"]), absent)
    specificity = found["specificity_at_sensitivity", "melanoma", "0.95"]
    np.testing.assert_array_equal(np.isnan(specificity), absent)
    assert not np.isnan(found["accuracy",]).any()
    intervals = score_intervals(task, np.ones(20), np.arange(20), rounds=200, seed=0)
    assert intervals["average_precision"]["melanoma"]["rounds"] == 200 - absent.sum()
    # DeLong's variance needs two melanomas: the bootstrap's interval stands alone.
    assert intervals["auc"]["melanoma"]["method"] == "bootstrap"


def test_intervals_are_percentiles_beside_delongs():
    labels, scores = task_of(2)
    task = prepare(labels, scores, NAMES)
    groups = np.arange(len(labels))
    intervals = score_intervals(task, np.ones(len(labels)), groups, rounds=100, seed=4)
    values = [
        all_metrics(task, row[None])["accuracy",][0]
        for block in resamples(groups, 100, 4) for row in block
    ]  # fmt: skip
    low, high = np.percentile(values, [2.5, 97.5])
    assert intervals["accuracy"]["low"] == pytest.approx(low)
    assert intervals["accuracy"]["high"] == pytest.approx(high)
    area = intervals["auc"]["melanoma"]
    assert area["method"] == "delong"
    assert area["bootstrap"]["method"] == "bootstrap"
    assert area["low"] == pytest.approx(area["bootstrap"]["low"], abs=0.03)


def test_patients_with_many_alike_images_widen_the_interval():
    labels, scores = task_of(6, n_images=60)
    labels, scores = np.repeat(labels, 8), np.repeat(scores, 8, axis=0)
    task, weights = prepare(labels, scores, NAMES), np.ones(480)
    patients = np.repeat(np.arange(60), 8)
    by_image = score_intervals(task, weights, np.arange(480), rounds=300, seed=0)
    by_patient = score_intervals(task, weights, patients, rounds=300, seed=0)
    for metric in (("accuracy",), ("auc", "melanoma")):
        narrow, wide = by_image, by_patient
        for name in metric:
            narrow, wide = narrow[name], wide[name]
        ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
        assert ratio == pytest.approx(8**0.5, rel=0.25), metric


def test_interval_and_p_value_of_few_or_equal_rounds():
    assert percentile_interval(np.array([np.nan, 0.5])) is None
    assert percentile_interval(np.full(10, 0.25)) == (0.25, 0.25)
    assert bootstrap_p_value(np.array([np.nan])) is None
    assert bootstrap_p_value(np.zeros(99)) == 1.0
    assert bootstrap_p_value(np.ones(99)) == pytest.approx(2 / 100)
    assert bootstrap_p_value(np.array([-1.0] * 9 + [1.0] * 90)) == pytest.approx(2 * 10 / 100)


def test_nothing_to_draw_and_too_few_rounds_are_errors():
    with pytest.raises(MelanomaError, match="at least one image"):
        next(resamples(np.zeros(0, dtype=int), 10, 0))
    labels, scores = task_of(1, n_images=10)
    with pytest.raises(MelanomaError, match="at least 2"):
        score_intervals(
            prepare(labels, scores, NAMES), np.ones(10), np.arange(10), rounds=1, seed=0
        )
