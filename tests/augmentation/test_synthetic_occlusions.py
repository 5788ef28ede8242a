"""Occlusions drawn at random: what is drawn, and the mask of it."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation.synthetic_occlusions import SHAPES, draw_occlusions

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
    assert max(shares) < 0.8
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
