"""The occlusion detector: its network, its loss and its metric, against NumPy."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector.inference import OcclusionDetector
from melanoma_tf.purification.detector.losses import OcclusionDice, OcclusionLoss, pack
from melanoma_tf.purification.detector.network import MirrorToMultiple, build_detector
from melanoma_tf.purification.purify import purify_by


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return build_detector(2, 2)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (3, 5)])
def test_any_size_gets_a_probability_for_each_pixel(network, size):
    images = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    found = network(images).numpy()
    assert found.shape == (2, *size, 1)
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    # To begin with, occlusions are taken to be rare.
    assert found.mean() < 0.3


@pytest.mark.parametrize(("size", "whole"), [((5, 8), (8, 8)), ((1, 3), (4, 4))])
def test_images_are_mirrored_up_to_a_multiple(size, whole):
    images = np.random.default_rng(1).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    found = MirrorToMultiple(4)(images).numpy()
    more = [(0, 0), *((0, w - s) for s, w in zip(size, whole)), (0, 0)]
    expected = np.pad(images, more, mode="symmetric") / 127.5 - 1.0
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_saved_network_answers_the_same(network, tmp_path):
    images = np.random.default_rng(2).uniform(0, 255, (1, 12, 8, 3)).astype(np.float32)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(loaded(images), network(images), atol=1e-6)


def test_impossible_networks_are_refused():
    for arguments in ((0, 3), (4, 0)):
        with pytest.raises(MelanomaError, match="at least 1 base filter and 1 level"):
            build_detector(*arguments)


def truth_and_map():
    rng = np.random.default_rng(3)
    occluded = (rng.random((3, 6, 7, 1)) < 0.3).astype(np.float32)
    occluded[2] = 0.0
    counted = (rng.random((3, 6, 7, 1)) < 0.8).astype(np.float32)
    probability = rng.uniform(0.01, 0.99, (3, 6, 7, 1)).astype(np.float32)
    return occluded * counted, counted, probability


def test_the_loss_is_entropy_and_dice_where_the_truth_is_known():
    occluded, counted, probability = truth_and_map()
    found = OcclusionLoss(reduction="none")(pack(occluded, counted), probability).numpy()
    for index in range(3):
        where = counted[index] > 0
        truth, p = occluded[index][where], probability[index][where]
        entropy = -np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p))
        dice = (2 * (truth * p).sum() + 16) / (truth.sum() + p.sum() + 16)
        assert found[index] == pytest.approx(entropy + 1 - dice, rel=1e-4)
    changed = np.where(counted > 0, probability, 0.5)
    again = OcclusionLoss(reduction="none")(pack(occluded, counted), changed)
    np.testing.assert_allclose(again, found, rtol=1e-6)


def test_nothing_known_costs_nothing():
    nothing = np.zeros((1, 4, 4, 1), np.float32)
    loss = OcclusionLoss()(pack(nothing, nothing), np.full((1, 4, 4, 1), 0.9, np.float32))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_the_metric_is_the_mean_dice_of_images_with_occlusions():
    occluded, counted, probability = truth_and_map()
    metric = OcclusionDice(0.4)
    metric.update_state(pack(occluded, counted), probability)
    expected = []
    for index in range(2):  # The third has none.
        found = (probability[index] > 0.4) & (counted[index] > 0)
        truth = occluded[index] > 0
        expected.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    assert float(metric.result()) == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_finder_says_where_the_probability_exceeds_its_threshold(network):
    shade = np.linspace(0.2, 0.9, 48, dtype=np.float32)[:, np.newaxis, np.newaxis]
    images = np.broadcast_to(shade, (2, 48, 40, 3))
    probability = network(255 * images).numpy()
    threshold = float(np.median(probability))
    finder = OcclusionDetector(network, threshold)
    found = finder(images).numpy()
    expected = (probability > threshold).astype(np.float32)
    # The inside of a small round hole may be added.
    assert (found >= expected).all()
    assert np.mean(found != expected) < 0.02
    dataset = tf.data.Dataset.from_tensors(images).map(finder)
    np.testing.assert_array_equal(next(iter(dataset)), found)


@pytest.mark.parametrize(
    ("height", "width", "working_size", "threshold"),
    [(96, 70, 512, 0.5), (100, 191, 512, 0.5), (192, 150, 320, 0.9), (100, 224, 320, 0.8),
     (200, 256, 320, 0.7), (257, 200, 512, 0.5)],
)  # fmt: skip
def test_small_images_are_searched_at_a_small_size_by_thresholds_of_their_own(
    height, width, working_size, threshold
):
    """The network here answers with the red channel, which grows from left to right."""

    def network(images, training):
        return images[..., :1] / 255.0

    shade = np.linspace(0, 255, width).astype(np.uint8)
    image = np.broadcast_to(shade[:, np.newaxis], (height, width, 3))
    detector = OcclusionDetector(network, 0.5, (0.9, 0.7))
    size_px, _ = detector.for_size(tf.constant(max(height, width)))
    assert int(size_px) == working_size
    _, replaced = purify_by(
        lambda images, holes: 0.0 * images, np.ascontiguousarray(image), find=detector
    )
    first = np.flatnonzero(replaced[0, :, 0])[0]
    # The margin of one pixel, and the rounding to pixels of the working size.
    assert abs(shade[first] / 255 - threshold) < 4 / width
    plain = OcclusionDetector(network, 0.5)
    assert plain.for_size(tf.constant(96)) == (512, plain)


def test_round_rims_bubbles_and_the_ticks_of_a_ruler_belong_to_what_is_found():
    """The network here finds what is nearly black, and no more."""
    image = np.full((256, 384, 3), 200, np.uint8)
    cv2.circle(image, (80, 80), 20, (0, 0, 0), 2)
    cv2.rectangle(image, (150, 40), (210, 70), (0, 0, 0), 2)
    cv2.circle(image, (300, 80), 20, (165, 165, 165), 2)
    cv2.circle(image, (308, 72), 3, (250, 250, 250), -1)
    for column in range(30, 340, 22):
        cv2.line(image, (column, 180), (column, 192), (165, 165, 165), 2)
    detector = OcclusionDetector(
        lambda images, training: tf.cast(tf.reduce_max(images, -1, keepdims=True) < 30, tf.float32)
    )
    found = detector(tf.constant(image[np.newaxis] / 255.0, tf.float32))[0, ..., 0].numpy()
    assert set(np.unique(found)) == {0.0, 1.0}
    disc = cv2.circle(np.zeros(image.shape[:2], np.uint8), (80, 80), 20, 1, -1) > 0
    assert found[disc].mean() > 0.9
    bubble = cv2.circle(np.zeros(image.shape[:2], np.uint8), (300, 80), 20, 1, -1) > 0
    assert found[bubble].mean() > 0.95
    assert found[45:65, 160:200].mean() == 0.0
    ticks = image[170:200].max(-1) < 190
    assert found[170:200][ticks].mean() > 0.85
    assert found[110:150].mean() == 0.0
