"""The replacements of TensorFlow Addons against OpenCV and scikit-learn, and against Addons."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

from melanoma_tf.core import addons, addons_replacements
from melanoma_tf.core.stack import is_usable

needs_addons = pytest.mark.skipif(
    not is_usable("tensorflow_addons"), reason="Addons does not load on this stack"
)
METRICS = ("CohenKappa", "MatthewsCorrelationCoefficient")


def images_and_flow(height, width):
    draw = np.random.default_rng(height)
    images = draw.uniform(0, 255, (2, height, width, 3)).astype(np.float32)
    # Whole pixels, fractions, and points far beyond the border.
    flow = draw.normal(0, 6, (2, height, width, 2)).astype(np.float32)
    flow[:, ::3] = np.round(flow[:, ::3])
    return images, flow


@pytest.mark.parametrize(("height", "width"), [(24, 31), (2, 2), (40, 3)])
def test_warp_is_opencvs_remap(height, width):
    images, flow = images_and_flow(height, width)
    found = addons_replacements.dense_image_warp(tf.constant(images), tf.constant(flow)).numpy()
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for image, displaced, moved in zip(images, flow, found):
        expected = cv2.remap(
            image,
            np.clip(columns - displaced[..., 1], 0, width - 1),
            np.clip(rows - displaced[..., 0], 0, height - 1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # OpenCV rounds a place to 1/32 pixel.
        assert np.abs(moved - expected).max() < 255 * 2 / 32


@needs_addons
@pytest.mark.parametrize(("height", "width"), [(24, 31), (2, 2), (40, 3)])
def test_warp_is_that_of_addons(height, width):
    images, flow = images_and_flow(height, width)
    both = [
        one(tf.constant(images), tf.constant(flow)).numpy()
        for one in (addons_replacements.dense_image_warp, addons.dense_image_warp)
    ]
    np.testing.assert_allclose(*both, atol=255e-6)


def test_warp_keeps_its_gradient():
    images, flow = images_and_flow(8, 8)
    with tf.GradientTape() as tape:
        flow = tf.Variable(flow)
        warped = addons_replacements.dense_image_warp(tf.constant(images), flow)
    assert np.abs(tape.gradient(warped, flow).numpy()).max() > 0


def labels_and_scores(classes, agreement, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, 400)
    guesses = np.where(draw.uniform(size=400) < agreement, labels, draw.integers(0, classes, 400))
    return np.eye(classes, dtype=np.float32)[labels], np.eye(classes, dtype=np.float32)[guesses]


def coefficient(module, name, labels, scores):
    metric = getattr(module, name)(labels.shape[1])
    for start in range(0, len(labels), 150):
        part = slice(start, start + 150)
        # By class numbers, as `classification.losses` calls Cohen's kappa: Addons takes binary
        # labels in another form.
        if name == "CohenKappa":
            metric._update_confusion_matrix(labels[part].argmax(1), scores[part].argmax(1), None)
        else:
            metric.update_state(labels[part], scores[part])
    return float(metric.result())


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("agreement", [0.0, 0.6, 0.995, 1.0])
def test_metrics_are_scikit_learns(classes, agreement):
    labels, scores = labels_and_scores(classes, agreement)
    for name, score in zip(METRICS, (cohen_kappa_score, matthews_corrcoef)):
        found = coefficient(addons_replacements, name, labels, scores)
        assert found == pytest.approx(score(labels.argmax(1), scores.argmax(1)), abs=1e-6)


@needs_addons
@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("agreement", [0.0, 0.6, 0.995, 1.0])
def test_metrics_are_those_of_addons(classes, agreement):
    labels, scores = labels_and_scores(classes, agreement, seed=1)
    for name in METRICS:
        found = coefficient(addons_replacements, name, labels, scores)
        assert found == pytest.approx(coefficient(addons, name, labels, scores), abs=1e-6)


def test_metrics_of_one_class_and_of_nothing():
    one_class = np.eye(3, dtype=np.float32)[[1, 1, 1]]
    for name in METRICS:
        assert float(getattr(addons_replacements, name)(3).result()) == 0.0
    assert np.isnan(coefficient(addons_replacements, "CohenKappa", one_class, one_class))
    matthews = coefficient(addons_replacements, METRICS[1], one_class, one_class)
    assert matthews == 0.0


def test_metrics_forget_on_reset_and_rebuild_from_their_settings():
    for name in METRICS:
        metric = getattr(addons_replacements, name)(2, name="own")
        metric.update_state(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
        assert float(metric.result()) == 1.0
        metric.reset_state()
        assert float(metric.result()) == 0.0
        again = type(metric).from_config(metric.get_config())
        assert (again.num_classes, again.name) == (2, "own")
