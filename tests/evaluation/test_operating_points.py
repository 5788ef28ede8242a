"""Thresholds: the metric's own definition, ties, scikit-learn's ROC curve, worked examples."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import roc_curve

from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.operating_points import (
    SCORE_TOLERANCE,
    SENSITIVITIES,
    at_thresholds,
    choose_thresholds,
    threshold_below,
)

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def some_scores(ties, images=150, seed=1):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, images)
    scores = random.dirichlet(np.ones(3), images) + np.eye(3)[labels] * 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    return labels, scores.round(1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_give_the_specificity_of_the_metric_and_of_scikit_learn(ties):
    labels, scores = some_scores(ties)
    metric = classification_scores(labels, scores, NAMES)["specificity_at_sensitivity"]
    chosen = choose_thresholds(labels, scores, NAMES)
    points = at_thresholds(labels, scores, NAMES, chosen, np.arange(len(labels)), rounds=0)
    for index, name in enumerate(NAMES):
        false_rate, true_rate, steps = roc_curve(
            labels == index, scores[:, index], drop_intermediate=False
        )
        for wanted, threshold in chosen[name].items():
            point = points[name][wanted]
            assert point["specificity"] == pytest.approx(metric[name][wanted], abs=1e-12)
            first = np.flatnonzero(true_rate >= float(wanted))[0]
            others = scores[:, index][scores[:, index] < steps[first]]
            assert others.max() < threshold < steps[first]
            assert threshold == pytest.approx((others.max() + steps[first]) / 2)
            assert point["sensitivity"] == pytest.approx(true_rate[first])
            assert point["specificity"] == pytest.approx(1 - false_rate[first])


def test_a_worked_example_with_ties_on_other_images():
    scores = np.array([0.9, 0.6, 0.6, 0.2, 0.6, 0.1])
    both = np.column_stack([scores, 1 - scores])
    labels = np.array([0, 0, 0, 0, 1, 1])
    chosen = choose_thresholds(labels, both, ("a", "b"))
    # Three of four reach 75 %, so that each of the wanted sensitivities needs the fourth.
    assert set(chosen["a"]) == {"0.82", "0.89", "0.95"}
    assert list(chosen["a"].values()) == pytest.approx([(0.2 + 0.1) / 2] * 3)
    point = at_thresholds(labels, both, ("a", "b"), {"a": {"x": 0.6}}, np.arange(6), rounds=0)
    assert point["a"]["x"] == {
        "threshold": 0.6, "sensitivity": 0.75, "specificity": 0.5, "true_positives": 3,
        "false_negatives": 1, "true_negatives": 1, "false_positives": 1,
    }  # fmt: skip


@st.composite
def near_ties(draw):
    """Labels of two classes and scores, many of which differ by a few millionths or not at all."""
    images = draw(st.integers(2, 20))
    coarse = draw(st.lists(st.sampled_from([0, 1, 2, 500_000]), min_size=images, max_size=images))
    fine = draw(st.lists(st.integers(0, 40), min_size=images, max_size=images))
    first = np.array(coarse) * 2e-6 + np.array(fine) * 2.5e-7
    labels = draw(st.lists(st.integers(0, 1), min_size=images, max_size=images))
    return np.array(labels), np.column_stack([first, -first])


@given(near_ties(), st.integers(0, 2**32 - 1))
def test_no_decision_of_a_fitted_threshold_hangs_on_the_last_digits_of_a_score(examples, seed):
    labels, scores = examples
    noise = np.random.default_rng(seed).uniform(-SCORE_TOLERANCE, SCORE_TOLERANCE, scores.shape)
    chosen = choose_thresholds(labels, scores, ("a", "b"))
    groups = np.arange(len(labels))
    told, shaken = (
        at_thresholds(labels, each, ("a", "b"), chosen, groups, rounds=0)
        for each in (scores, scores + noise)
    )
    assert shaken == told
    for row in told.values():
        for wanted, point in row.items():
            assert point is None or point["sensitivity"] >= float(wanted)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(1e-9, 1e-6),
    st.lists(st.integers(0, 3), min_size=20, max_size=300),
)
def test_the_sensitivity_holds_where_scores_leave_no_gap(seed, step, labels):
    random = np.random.default_rng(seed)
    labels, column = np.array(labels), random.permutation(len(labels)) * step
    chosen = choose_thresholds(labels, np.column_stack([column] * 4), tuple("abcd"))
    shaken = column + random.uniform(-SCORE_TOLERANCE, SCORE_TOLERANCE, len(labels))
    for index, name in enumerate("abcd"):
        for wanted, threshold in zip(SENSITIVITIES, chosen[name].values()):
            if threshold is not None:
                assert (shaken >= threshold)[labels == index].mean() >= wanted


def test_thresholds_by_hand():
    scores = np.array([0.1, 0.2, 0.3, 0.300001, 0.300002, 0.5])
    assert threshold_below(scores, 0.5) == pytest.approx((0.5 + 0.300002) / 2)
    assert threshold_below(scores, 0.300002) == pytest.approx(0.25), "tied with the two below"
    assert threshold_below(scores, 0.1) == pytest.approx(0.1 - 2e-6, abs=1e-12), "the lowest"
    dense = np.arange(1000) * 1e-6
    assert threshold_below(dense, 900e-6) == pytest.approx(898e-6, abs=1e-12), "no gap within 1e-4"


def test_a_class_without_examples_or_others_has_no_threshold():
    scores = np.full((3, 3), 1 / 3)
    chosen = choose_thresholds(np.array([0, 0, -1]), scores, NAMES)
    assert set(chosen["melanoma"].values()) == {None}, "no other class is known"
    assert set(chosen["nevus"].values()) == {None}
    points = at_thresholds(np.array([0, 0, -1]), scores, NAMES, chosen, np.arange(3))
    assert points["nevus"] == {"0.82": None, "0.89": None, "0.95": None}
    carried = at_thresholds(
        np.array([0, 0, -1]), scores, NAMES, {"nevus": {"x": 0.2}}, np.arange(3)
    )
    assert carried["nevus"]["x"]["sensitivity"] is None, "there is no nevus here"
    assert carried["nevus"]["x"]["specificity"] == 0.0


def one_class(right, groups=None, rounds=500):
    """The interval of the sensitivity where so many images of the class are called."""
    right = np.array(right, float)
    scores = np.column_stack([np.append(right, 0), 1 - np.append(right, 0)])
    labels = np.append(np.zeros(len(right), int), 1)
    groups = np.arange(len(labels)) if groups is None else np.append(groups, np.max(groups) + 1)
    points = at_thresholds(labels, scores, ("a", "b"), {"a": {"x": 0.5}}, groups, rounds=rounds)
    return points["a"]["x"]["interval"]["sensitivity"]


def test_intervals_of_single_images_are_wilson_s():
    """Newcombe 1998, Table I: 81 of 263 and 15 of 148, to four digits."""
    for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        interval = one_class([1] * hits + [0] * (total - hits))
        assert interval["method"] == "wilson"
        assert (interval["low"], interval["high"]) == pytest.approx((low, high), abs=5e-5)


def test_intervals_by_patient_are_wider_and_know_doubt_where_all_is_right():
    right = np.repeat([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], 10)
    by_image, by_patient = one_class(right), one_class(right, np.repeat(np.arange(10), 10))
    assert by_patient["method"] == "bootstrap"
    assert by_patient["high"] - by_patient["low"] > 2 * (by_image["high"] - by_image["low"])
    assert by_patient["low"] <= 0.7 <= by_patient["high"]
    assert by_patient == one_class(right, np.repeat(np.arange(10), 10)), "the same every time"
    perfect = one_class(np.ones(30), np.repeat(np.arange(10), 3))
    assert perfect == one_class(np.ones(10)), "as if a patient's images always agreed"
    assert perfect["low"] == pytest.approx(1 / (1 + 1.959964**2 / 10), abs=1e-6)
