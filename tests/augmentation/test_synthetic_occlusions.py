"""Occlusions drawn at random: what is drawn, and the mask of it."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation.synthetic_bubbles import paint_bubbles
from melanoma_tf.augmentation.synthetic_occlusions import SHAPES, draw_occlusions
from melanoma_tf.augmentation.synthetic_scales import ticks

SIZE = 64


@pytest.fixture(scope="module")
def drawn():
    draw = tf.function(
        draw_occlusions,
        input_signature=[tf.TensorSpec([SIZE, SIZE, 3]), tf.TensorSpec([2], tf.int64)],
    )
    skin = tf.fill([SIZE, SIZE, 3], 0.7)
    return [tuple(part.numpy() for part in draw(skin, [5, n])) for n in range(40)], draw


def test_what_is_drawn_is_mostly_in_the_mask_and_nothing_else_changes(drawn):
    pairs, _ = drawn
    shares = [float(holes.mean()) for _, holes in pairs]
    assert max(shares) < 0.9
    assert np.mean(np.array(shares) > 0) > 0.8  # Some hairs end before they reach the image.
    for image, holes in pairs:
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        assert set(np.unique(holes)) <= {0.0, 1.0}
    changed = np.concatenate(
        [abs(image - 0.7).max(-1)[holes[..., 0] > 0] for image, holes in pairs]
    )
    outside = np.concatenate(
        [abs(image - 0.7).max(-1)[holes[..., 0] == 0] for image, holes in pairs]
    )
    assert np.mean(changed > 0.05) > 0.4
    assert np.mean(outside > 0.05) < 0.05


def test_a_draw_is_a_function_of_its_seed(drawn):
    pairs, draw = drawn
    again = draw(tf.fill([SIZE, SIZE, 3], 0.7), [5, 0])
    for one, other in zip(again, pairs[0]):
        np.testing.assert_array_equal(one, other)
    assert len({holes.tobytes() for _, holes in pairs}) > 30


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_seen_and_thinner_than_the_image(name):
    coverages = [SHAPES[name].coverage(SIZE, tf.constant([1, n], tf.int64)) for n in range(12)]
    shares = [float(tf.reduce_mean(coverage)) for coverage in coverages]
    assert max(shares) > 0.01
    assert max(shares) < 0.7
    for coverage in coverages:
        assert coverage.shape == (SIZE, SIZE, 1)
        assert float(tf.reduce_min(coverage)) >= 0.0
        assert float(tf.reduce_max(coverage)) <= 1.0


def test_a_scale_has_ticks_at_equal_distances():
    """Most of the power of a row of ticks lies at one frequency and its multiples."""
    shares = []
    for number in range(60):
        coverage = ticks(128, tf.constant([2, number], tf.int64)).numpy()[..., 0]
        for profile in (coverage.mean(0), coverage.mean(1)):
            if np.count_nonzero(profile > 0.02) < 60:
                continue
            power = np.abs(np.fft.rfft(profile - profile.mean())) ** 2
            shares.append(power.max() / power.sum())
    assert len(shares) > 4
    assert np.median(shares) > 0.2


def test_bubbles_are_dark_rims_and_bright_spots_around_skin_that_stays():
    skin = tf.fill([96, 96, 3], 0.6)
    drawn = [paint_bubbles(skin, tf.constant([6, n], tf.int64)) for n in range(24)]
    opacity = np.stack([part.numpy()[..., 0] for _, part in drawn])
    change = np.stack([image.numpy().mean(-1) - 0.6 for image, _ in drawn])
    assert opacity.min() >= 0.0
    assert opacity.max() <= 1.0
    assert 0.005 < (opacity > 0.2).mean() < 0.3
    occluded = opacity > 0.2
    assert (change[occluded] < -0.03).mean() > 0.2
    assert (change[occluded] > 0.03).mean() > 0.1
    assert np.abs(change[opacity == 0]).max() < 0.05
