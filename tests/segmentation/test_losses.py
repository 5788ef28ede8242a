"""Losses and overlap metrics against values worked out by hand and scikit-learn's."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, jaccard_score, log_loss

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.segmentation.losses import MeanOverlap, SegmentationLoss

rng = np.random.default_rng(0)
TRUTH = (rng.random((3, 6, 5, 1)) < 0.4).astype(np.float32)
PROBABILITY = rng.uniform(0.02, 0.98, TRUTH.shape).astype(np.float32)


def test_cross_entropy_is_the_mean_over_pixels_of_each_image():
    loss = SegmentationLoss().call(tf.constant(TRUTH), tf.constant(PROBABILITY))
    expected = [log_loss(t.ravel(), p.ravel()) for t, p in zip(TRUTH, PROBABILITY)]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.parametrize("overlap", ["dice", "jaccard"])
def test_the_overlap_part_vanishes_for_the_perfect_map_and_is_one_for_the_opposite(overlap):
    def part(found):
        with_overlap = SegmentationLoss(overlap).call(tf.constant(TRUTH), found)
        return with_overlap - SegmentationLoss().call(tf.constant(TRUTH), found)

    np.testing.assert_allclose(part(tf.constant(TRUTH)), 0.0, atol=1e-5)
    assert (part(tf.constant(1 - TRUTH)).numpy() > 0.9).all()


def test_an_empty_truth_met_by_an_empty_map_costs_nothing():
    nothing = tf.zeros((1, 8, 8, 1))
    for overlap in ("dice", "jaccard"):
        assert float(SegmentationLoss(overlap)(nothing, nothing)) == pytest.approx(0.0, abs=1e-4)


def test_an_unknown_overlap_is_refused():
    with pytest.raises(MelanomaError, match="expected an overlap out of"):
        SegmentationLoss("tversky")


@pytest.mark.parametrize(("kind", "reference"), [("jaccard", jaccard_score), ("dice", f1_score)])
def test_overlap_metrics_are_means_over_images(kind, reference):
    metric = MeanOverlap(kind, threshold=0.4)
    for start in (0, 2):  # Two batches of different size.
        part = slice(start, start + 2)
        metric.update_state(TRUTH[part], PROBABILITY[part])
    expected = [reference(t.ravel(), p.ravel() > 0.4) for t, p in zip(TRUTH, PROBABILITY)]
    assert float(metric.result()) == pytest.approx(np.mean(expected), rel=1e-5)


def test_empty_against_empty_is_one_and_against_something_zero():
    metric = MeanOverlap("jaccard")
    metric.update_state(np.zeros((2, 4, 4, 1)), np.stack([np.zeros((4, 4, 1)), np.ones((4, 4, 1))]))
    assert float(metric.result()) == 0.5
