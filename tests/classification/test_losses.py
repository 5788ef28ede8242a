"""Losses and metrics against scikit-learn and formulas written out."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.utils.class_weight import compute_class_weight

from melanoma_tf.classification.losses import (
    ClassificationLoss,
    MeanAUC,
    balanced_weights,
    classification_metrics,
)
from melanoma_tf.core.errors import MelanomaError


def drawn(num_classes, count=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, count)
    return labels, rng.normal(size=(count, num_classes)) + np.eye(num_classes)[labels]


def as_shares(labels, num_classes):
    return np.eye(num_classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_metrics_are_scikit_learns_for_numbers_and_for_shares(num_classes):
    labels, logits = drawn(num_classes)
    chosen = logits.argmax(1)
    expected = {
        "accuracy": accuracy_score(labels, chosen),
        "balanced_accuracy": balanced_accuracy_score(labels, chosen),
        "cohen_kappa": cohen_kappa_score(labels, chosen),
        "matthews_correlation": matthews_corrcoef(labels, chosen),
    }
    for form in (labels, labels[:, None], as_shares(labels, num_classes)):
        for metric in classification_metrics([True] * num_classes):
            for part in (slice(0, 100), slice(100, None)):
                metric.update_state(tf.constant(form[part]), tf.constant(logits[part], tf.float32))
            if metric.name != "auc":
                assert float(metric.result()) == pytest.approx(expected[metric.name], abs=1e-5)


def test_metrics_of_weighted_images_are_scikit_learns():
    labels, logits = drawn(3)
    weights = np.random.default_rng(1).uniform(0, 2, len(labels))
    chosen, given = logits.argmax(1), {"sample_weight": weights}
    expected = {
        "cohen_kappa": cohen_kappa_score(labels, chosen, **given),
        "matthews_correlation": matthews_corrcoef(labels, chosen, **given),
    }
    for metric in classification_metrics([True] * 3):
        if metric.name in expected:
            metric.update_state(
                tf.constant(labels), tf.constant(logits, tf.float32), tf.constant(weights)
            )
            assert float(metric.result()) == pytest.approx(expected[metric.name], abs=1e-5)


def test_mean_auc_is_scikit_learns_over_the_classes_that_exist():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    logits = rng.normal(size=(300, 3)) + 1.5 * np.eye(3)[labels]
    metric = MeanAUC([True, True, False])
    metric.update_state(tf.constant(labels), tf.constant(logits))
    probabilities = softmax(logits, axis=1)
    expected = np.mean([roc_auc_score(labels == c, probabilities[:, c]) for c in (0, 1)])
    assert abs(float(metric.result()) - expected) < 0.01


def test_where_nothing_can_be_said_metrics_are_0_not_nan():
    one_class = np.zeros(4, np.int64), np.tile([2.0, 0.0, 0.0], (4, 1))
    found = {}
    for metric in classification_metrics([True] * 3):
        metric.update_state(tf.constant(one_class[0]), tf.constant(one_class[1], tf.float32))
        found[metric.name] = float(metric.result())
    assert found["cohen_kappa"] == found["matthews_correlation"] == 0.0
    assert found["balanced_accuracy"] == 1.0, "of the one class that was seen"


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_ends_a_training(label):
    logits = tf.constant(drawn(3, 2)[1], tf.float32)
    (metric,) = (one for one in classification_metrics([True] * 3) if one.name == "cohen_kappa")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected labels in \[0, 3\)"):
        metric.update_state(tf.constant([0, label]), logits)


def test_cross_entropy_is_scikit_learns():
    labels, logits = drawn(3)
    loss = ClassificationLoss()(labels, tf.constant(logits, tf.float32))
    assert float(loss) == pytest.approx(log_loss(labels, softmax(logits, axis=1)), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_is_its_formula(gamma):
    labels, logits = drawn(3)
    weights, smoothing = np.array([0.5, 1.0, 3.0]), 0.1
    shares = as_shares(labels, 3) * (1 - smoothing) + smoothing / 3
    logarithms = log_softmax(logits, axis=1)
    terms = -weights * shares * (1 - np.exp(logarithms)) ** gamma * logarithms
    loss = ClassificationLoss("focal", gamma, smoothing, weights)
    assert float(loss(labels, tf.constant(logits, tf.float32))) == pytest.approx(
        terms.sum(1).mean(), rel=1e-5
    )


def test_a_certain_answer_has_a_finite_gradient():
    logits = tf.Variable([[60.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = ClassificationLoss("focal", 0.5)(tf.constant([0]), logits)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_mixed_labels_give_the_mixed_loss():
    logits = drawn(3, 2)[1]
    logits = tf.constant(np.repeat(logits[:1], 3, axis=0), tf.float32)
    shares = tf.constant([[1, 0, 0], [0, 1, 0], [0.3, 0.7, 0]], tf.float32)
    loss = ClassificationLoss(reduction="none")(shares, logits).numpy()
    assert loss[2] == pytest.approx(0.3 * loss[0] + 0.7 * loss[1], rel=1e-5)


def test_balanced_weights_are_scikit_learns_and_0_for_an_absent_class():
    labels = [0] * 6 + [1] * 3 + [3] * 1
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    found = balanced_weights([6, 3, 0, 1])
    np.testing.assert_allclose(np.array(found)[[0, 1, 3]], expected)
    assert found[2] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "hinge"}, "a loss out of cross-entropy, focal; found hinge"),
        ({"focal_gamma": -1.0}, "focal gamma of 0 or more"),
        ({"label_smoothing": 1.0}, r"within \[0, 1\)"),
    ],
)
def test_bad_losses_are_refused(arguments, message):
    with pytest.raises(MelanomaError, match=message):
        ClassificationLoss(**arguments)
