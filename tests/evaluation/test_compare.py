"""Paired comparison: matched by image, symmetric, and right about what is known to differ."""

import numpy as np
import pytest
from scipy.special import softmax

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.compare import compare_predictions
from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.metrics.delong import delong
from melanoma_tf.evaluation.predictions import Predictions

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def pair(seed=0, n_images=200, gain=1.0, shared=1.0):
    """Two predictions with a common error; the second sees `gain` more of the class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n_images)
    common = shared * generator.normal(size=(n_images, 3)) + np.eye(3)[labels]
    ids = tuple(f"ISIC_{index:07d}" for index in range(n_images))
    both = [
        softmax(
            common + 0.3 * generator.normal(size=common.shape) + extra * np.eye(3)[labels], axis=1
        )
        for extra in (0.0, gain)
    ]
    return [Predictions(ids, scores, NAMES, labels) for scores in both]


def by_metric(result):
    return {row["metric"]: row for row in result["metrics"]}


def test_differences_are_second_less_first_and_areas_are_tested_after_delong():
    first, second = pair()
    rows = by_metric(compare_predictions(first, second, rounds=200))
    scores = [classification_scores(p.labels, p.scores, NAMES) for p in (first, second)]
    for name in NAMES:
        row = rows[f"auc.{name}"]
        assert row["difference"] == pytest.approx(scores[1]["auc"][name] - scores[0]["auc"][name])
        assert row["method"] == "delong"
    column = NAMES.index("melanoma")
    areas = delong(first.labels == column, [p.scores[:, column] for p in (first, second)])
    error = np.sqrt(areas.covariance[0, 0] + areas.covariance[1, 1] - 2 * areas.covariance[0, 1])
    row = rows["auc.melanoma"]
    assert row["high"] - row["difference"] == pytest.approx(1.959964 * error, rel=1e-5)
    assert rows["balanced_accuracy"]["difference"] == pytest.approx(
        scores[1]["balanced_accuracy"] - scores[0]["balanced_accuracy"]
    )
    assert rows["balanced_accuracy"]["method"] == "bootstrap"
    assert rows["balanced_accuracy"]["low"] > 0
    assert rows["balanced_accuracy"]["p_value"] < 0.05
    assert rows["auc.melanoma"]["p_value"] < 0.001


def test_a_classifier_does_not_differ_from_itself():
    first, _ = pair()
    for row in compare_predictions(first, first, rounds=50)["metrics"]:
        assert row["difference"] == row["low"] == row["high"] == 0
        assert row["p_value"] == 1.0


def test_swapping_the_files_turns_the_signs():
    first, second = pair(gain=0.2)
    forth = by_metric(compare_predictions(first, second, rounds=60))
    back = by_metric(compare_predictions(second, first, rounds=60))
    for name, row in forth.items():
        assert back[name]["difference"] == pytest.approx(-row["difference"])
        assert back[name]["low"] == pytest.approx(-row["high"])
        assert back[name]["p_value"] == pytest.approx(row["p_value"])


def test_rows_and_columns_in_another_order_are_matched():
    first, second = pair()
    order = np.random.default_rng(1).permutation(200)
    columns = [2, 0, 1]
    shuffled = Predictions(
        tuple(second.image_ids[index] for index in order),
        second.scores[order][:, columns],
        tuple(NAMES[index] for index in columns),
        np.array([columns.index(label) for label in second.labels[order]]),
    )
    assert compare_predictions(first, shuffled, rounds=20) == compare_predictions(
        first, second, rounds=20
    )


def test_other_images_classes_and_labels_are_refused():
    first, second = pair(n_images=5)
    other = Predictions((*second.image_ids[:-1], "x"), second.scores, NAMES, second.labels)
    with pytest.raises(MelanomaError, match=r"only in the first: ISIC_0000004; .* other: x"):
        compare_predictions(first, other)
    renamed = Predictions(second.image_ids, second.scores, ("a", "b", "c"), second.labels)
    with pytest.raises(MelanomaError, match="same classes"):
        compare_predictions(first, renamed)
    labels = (second.labels + 1) % 3
    with pytest.raises(MelanomaError, match="same labels"):
        compare_predictions(first, Predictions(second.image_ids, second.scores, NAMES, labels))


def test_undefined_metrics_have_no_test():
    first, second = pair(n_images=30)
    ids = first.image_ids
    labels = np.where(first.labels == 2, 1, first.labels)
    both = [Predictions(ids, p.scores, NAMES, labels) for p in (first, second)]
    row = by_metric(compare_predictions(*both, rounds=20))["auc.seborrheic_keratosis"]
    assert row["first"] is row["difference"] is row["p_value"] is row["method"] is None
