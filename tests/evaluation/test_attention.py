import math

import numpy as np
import pytest

from melanoma_tf.evaluation.metrics.attention import Attention, attention, mean_attention


def test_shares_are_weighted_by_how_much_of_a_pixel_the_region_covers():
    saliency = np.array([[0.0, 1.0], [2.0, 5.0]])
    region = np.array([[1.0, 0.5], [0.0, 0.5]])
    found = attention(saliency, region)
    assert found.area_fraction == 0.5
    assert found.saliency_fraction == pytest.approx((0.5 * 1 + 0.5 * 5) / 8)
    assert found.ratio == pytest.approx(0.375 / 0.5)


def test_even_saliency_gives_a_ratio_of_one():
    region = np.random.default_rng(0).uniform(size=(8, 8))
    assert attention(np.full((8, 8), 0.3), region).ratio == pytest.approx(1)


def test_no_region_has_no_ratio_and_no_saliency_no_share():
    assert math.isnan(attention(np.ones((2, 2)), np.zeros((2, 2))).ratio)
    dead = attention(np.zeros((2, 2)), np.ones((2, 2)))
    assert dead.area_fraction == 1
    assert math.isnan(dead.saliency_fraction)


def test_the_mean_counts_images_that_have_the_region_and_its_ratio_is_that_of_the_means():
    each = [
        Attention(0.2, 0.4), Attention(0.1, 0.05), Attention(0.3, 0.6),
        None, Attention(0.0, 0.0), Attention(0.5, float("nan")),
    ]  # fmt: skip
    mean = mean_attention(each, rounds=500, seed=3)
    assert mean["images"] == 3
    assert mean["area_fraction"] == pytest.approx(0.2)
    assert mean["saliency_fraction"] == pytest.approx(0.35)
    assert mean["ratio"] == pytest.approx(1.75)
    # Every resample's ratio lies between those of the single images.
    assert 0.5 <= mean["interval"]["low"] < 1.75 < mean["interval"]["high"] <= 2
    assert mean == mean_attention(each, rounds=500, seed=3)


def test_one_image_has_no_interval_and_none_no_mean():
    assert mean_attention([Attention(0.2, 0.4)])["interval"] is None
    assert mean_attention([None, Attention(0.0, 0.0)]) is None
    assert mean_attention([]) is None
