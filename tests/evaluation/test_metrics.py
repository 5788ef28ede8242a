"""Each metric against its published definition and against arrays worked out by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics import all_metrics, classification_scores, prepare
from melanoma_tf.evaluation.metrics.ranking import rank_class, ranking_metrics
from tests.evaluation import reference

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def metrics_of(truth, score, weight=None, **options):
    truth, score = np.asarray(truth), np.asarray(score, dtype=np.float64)
    ranked = rank_class(truth == 1, np.ones(len(truth), dtype=bool), score)
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight)
    values = ranking_metrics(ranked, weight[None], **options)
    return {name: rounds[0] for name, rounds in values.items()}


def random_task(seed, n_images=200, n_classes=3, decimals=None):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_classes, n_images)
    logits = generator.normal(size=(n_images, n_classes)) + 1.5 * np.eye(n_classes)[labels]
    scores = softmax(logits, axis=1)
    return labels, scores if decimals is None else scores.round(decimals)


@given(seed=st.integers(0, 10_000), n_images=st.integers(2, 40), levels=st.integers(1, 30),
       weighted=st.booleans(), min_tpr=st.sampled_from((0.05, 0.5, 0.8, 0.9)))  # fmt: skip
def test_class_metrics_follow_the_published_definitions(seed, n_images, levels, weighted, min_tpr):
    """Few levels make many ties, across and within the classes."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, n_images)
    truth[:2] = 0, 1
    score = generator.integers(0, levels + 1, n_images) / levels
    weight = generator.integers(1, 5, n_images) / 2 if weighted else None
    ours = metrics_of(truth, score, weight, min_tpr=min_tpr)
    expected = reference.class_metrics(truth, score, weight, min_tpr)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_area_and_specificity_by_hand():
    """Four negatives, five positives; the curve climbs to 0.4 at 0, 0.6 at 1/4, 1 at 3/4."""
    score = [9, 8, 7, 6, 5, 5, 4, 4, 1]
    truth = [1, 1, 0, 1, 0, 0, 1, 1, 0]
    values = metrics_of(truth, score)
    assert values["auc"] == pytest.approx((2 * 4 + 1 * 3 + 2 * 1) / 20)
    assert values["specificity_at_sensitivity/0.82"] == pytest.approx(1 / 4)
    assert values["average_precision"] == pytest.approx(0.4 + 0.2 * 3 / 4 + 0.4 * 5 / 8)
    # The tie of both last positives starts at 3/4 and rises straight up.
    assert values["partial_auc_isic2024"] == pytest.approx(0.2 * 1 / 4)
    assert values["auc_above_sensitivity_80"] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("score", "auc", "auc_80", "partial"),
    [
        ([0.2, 0.4, 0.6, 0.8], 1.0, 1.0, 0.2),  # perfect
        ([0.8, 0.6, 0.4, 0.2], 0.0, 0.0, 0.0),  # the wrong way round
        ([0.5, 0.5, 0.5, 0.5], 0.5, 0.2 * 0.9, 0.02),  # no opinion: the diagonal
    ],
)
def test_perfect_reversed_and_constant_scores(score, auc, auc_80, partial):
    values = metrics_of([0, 0, 1, 1], score)
    assert values["auc"] == pytest.approx(auc)
    assert values["auc_above_sensitivity_80"] == pytest.approx(auc_80)
    assert values["partial_auc_isic2024"] == pytest.approx(partial)


def test_partial_area_from_sensitivity_zero_is_the_whole_area():
    labels, scores = random_task(3)
    values = metrics_of(labels == 0, scores[:, 0], min_tpr=0.0)
    assert values["partial_auc_isic2024"] == pytest.approx(values["auc"])


def test_half_is_not_above_half():
    values = metrics_of([1, 1, 0, 0], [0.5, 0.6, 0.5, 0.4])
    assert values["sensitivity"] == 0.5
    assert values["ppv"] == 1.0
    assert values["npv"] == pytest.approx(2 / 3)
    assert values["dice"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("decimals", [None, 2])
def test_scores_of_a_task_equal_scikit_learns(decimals):
    labels, scores = random_task(5, n_images=300, decimals=decimals)
    untied = (scores == scores.max(axis=1, keepdims=True)).sum(axis=1) == 1
    labels, scores = labels[untied], scores[untied]
    found = classification_scores(labels, scores, NAMES)
    expected = reference.task_metrics(labels, scores, NAMES)
    for path, value in expected.items():
        metric = found
        for name in path:
            metric = metric[name]
        assert metric == pytest.approx(value, abs=1e-9), path
    assert found["mean_auc_isic2017"] == pytest.approx(
        (found["auc"]["melanoma"] + found["auc"]["seborrheic_keratosis"]) / 2
    )
    assert (
        found["confusion_matrix"]
        == metrics.confusion_matrix(labels, scores.argmax(axis=1)).tolist()
    )
    assert found["n"] == len(labels)
    assert found["classes"] == list(NAMES)
    assert not found["undefined"]
    json.dumps(found, allow_nan=False)


def test_tie_for_the_largest_score_is_wrong_and_stands_in_no_column():
    scores = np.array([[0.4, 0.4, 0.2], [0.0, 0.0, 0.0], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    found = classification_scores(np.array([0, 1, 1, 2]), scores, NAMES)
    assert found["accuracy"] == 0.5
    assert found["balanced_accuracy"] == pytest.approx((0 + 1 / 2 + 1) / 3)
    assert found["confusion_matrix"] == [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert found["undecided"] == {"melanoma": 1, "nevus": 1, "seborrheic_keratosis": 0}


def test_class_without_examples_is_named_and_never_zero_or_one():
    labels, scores = random_task(7)
    keep = labels != 2
    found = classification_scores(labels[keep], scores[keep], NAMES)
    assert found["n_per_class"]["seborrheic_keratosis"] == 0
    for metric in ("auc", "average_precision", "sensitivity", "ppv", "npv", "dice"):
        assert found[metric]["seborrheic_keratosis"] is None
        reason = found["undefined"][f"{metric}.seborrheic_keratosis"]
        assert reason == "no example of seborrheic_keratosis"
    assert found["mean_auc_isic2017"] is None
    assert found["specificity_at_sensitivity"]["seborrheic_keratosis"]["0.95"] is None
    # The mean of the classes that are there, as the ISIC scorer takes it.
    recalls = [found_recall(found, index) for index in (0, 1)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["mean_auc"] == pytest.approx(
        np.mean([found["auc"]["melanoma"], found["auc"]["nevus"]])
    )


def found_recall(found, index):
    row = found["confusion_matrix"][index]
    return row[index] / found["n_per_class"][NAMES[index]]


def test_one_image_and_none_have_no_area():
    one = classification_scores(np.array([0]), np.array([[0.7, 0.2, 0.1]]), NAMES)
    assert one["accuracy"] == one["balanced_accuracy"] == 1.0
    assert set(one["auc"].values()) == {None}
    assert one["undefined"]["auc.melanoma"] == "no example of any class but melanoma"
    none = classification_scores(np.zeros(0, dtype=int), np.zeros((0, 3)), NAMES)
    assert none["n"] == 0
    assert none["accuracy"] is None
    assert none["undefined"]["accuracy"] == "no image of a known class"
    json.dumps([one, none], allow_nan=False)


def test_unknown_labels_are_left_out():
    labels, scores = random_task(9)
    known = np.arange(len(labels)) % 4 > 0
    found = classification_scores(np.where(known, labels, -1), scores, NAMES)
    assert found == classification_scores(labels[known], scores[known], NAMES)


def test_logits_are_used_as_given_and_said_to_be_no_probabilities():
    """Softmax changes the order of images within a class: the two areas differ."""
    generator = np.random.default_rng(11)
    labels = generator.integers(0, 3, 300)
    logits = generator.normal(size=(300, 3)) + np.eye(3)[labels] + generator.normal(size=(300, 1))
    found = classification_scores(labels, logits, NAMES)
    assert found["are_probabilities"] is False
    assert found["brier_score"] is None
    assert found["undefined"]["brier_score"] == "the scores are not probabilities"
    expected = metrics.roc_auc_score(labels == 0, logits[:, 0])
    assert found["auc"]["melanoma"] == pytest.approx(expected)
    after = classification_scores(labels, softmax(logits, axis=1), NAMES)
    assert after["are_probabilities"] is True
    assert after["auc"]["melanoma"] > found["auc"]["melanoma"] + 0.02
    assert after["accuracy"] == found["accuracy"]


def test_weight_two_counts_as_two_images_and_weight_zero_as_none():
    labels, scores = random_task(13, n_images=60)
    weights = np.random.default_rng(0).integers(0, 4, 60)
    weighted = all_metrics(prepare(labels, scores, NAMES), weights[None])
    rows = np.repeat(np.arange(60), weights)
    repeated = all_metrics(prepare(labels[rows], scores[rows], NAMES), np.ones((1, len(rows))))
    for path, values in repeated.items():
        assert weighted[path][0] == pytest.approx(values[0], abs=1e-9), path


def test_confidence_of_one_falls_into_the_last_bin():
    found = classification_scores(np.array([0, 1]), np.eye(2), ("a", "b"))
    assert found["expected_calibration_error"] == 0.0
    wrong = classification_scores(np.array([1, 0]), np.eye(2), ("a", "b"))
    assert wrong["expected_calibration_error"] == 1.0
    assert wrong["brier_score"] == 2.0


def test_bad_arrays_are_one_line_errors():
    for labels, scores, options in (
        ([0, 1], np.zeros((3, 3)), {}),
        ([0], [[np.nan, 0, 0]], {}),
        ([3], np.zeros((1, 3)), {}),
        ([0], np.zeros((1, 3)), {"min_tpr": 1.0}),
    ):
        with pytest.raises(MelanomaError, match="expected"):
            classification_scores(np.array(labels), np.array(scores), NAMES, **options)
