"""Mixup and cutmix against NumPy: images and labels are mixed in the same shares."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from melanoma_tf.augmentation.mixing import beta, blend, mix, outside_square

SIZE = 16
SEED = tf.constant([3, 4], tf.int64)


def flat_batch(count=8, classes=4):
    """Every image has a colour of its own, which is the square of its number; labels in turn."""
    colours = (np.arange(count) ** 2).astype(np.uint8)
    images = np.broadcast_to(colours[:, None, None, None], (count, SIZE, SIZE, 3)).copy()
    return images, np.arange(count) % classes


def test_blending_by_hand():
    images = np.array([[[[0, 10, 20]]], [[[100, 110, 255]]]], np.uint8)
    own = np.array([0.75, 1.0], np.float32).reshape(2, 1, 1, 1)
    shares = np.eye(2, dtype=np.float32)
    mixed, labels = blend(images, shares, [1, 0], own)
    np.testing.assert_array_equal(mixed[:, 0, 0], [[25, 35, 79], [100, 110, 255]])
    np.testing.assert_allclose(labels, [[0.75, 0.25], [0.0, 1.0]])
    assert mixed.dtype == tf.uint8


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_labels_hold_the_shares_of_the_pixels(alphas):
    images, numbers = flat_batch()
    classes = len(numbers)  # Every image is a class of its own: whose pixels are they?
    mixed, labels = mix(
        images, np.arange(classes), classes, mixup=alphas[0], cutmix=alphas[1], seed=SEED
    )
    assert mixed.shape == images.shape
    assert labels.dtype == tf.float32
    np.testing.assert_allclose(np.sum(labels, 1), 1.0, atol=1e-6)
    assert (np.count_nonzero(labels.numpy() > 1e-6, axis=1) <= 2).all()
    colours = np.arange(classes) ** 2
    expected = labels.numpy() @ colours
    np.testing.assert_allclose(np.mean(mixed, (1, 2, 3)), expected, atol=0.51)
    if alphas[0] == 0.0:  # A rectangle is pasted, nothing is averaged.
        assert np.isin(mixed, colours).all()
    assert np.abs(mixed.numpy().astype(int) - images).max() > 0


def test_what_is_pasted_is_one_rectangle_in_its_place():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
    mixed, labels = mix(images, np.arange(6), 6, mixup=0.0, cutmix=1.0, seed=SEED)
    pasted = 0
    for number, (image, shares) in enumerate(zip(mixed.numpy(), labels.numpy())):
        other = [k for k in np.flatnonzero(shares > 1e-6) if k != number]
        if not other:
            np.testing.assert_array_equal(image, images[number])
            continue
        changed = (image != images[number]).any(-1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert changed[box].all()
        np.testing.assert_array_equal(image[box], images[other[0]][box])
        assert shares[other[0]] == pytest.approx(changed.mean(), abs=1e-6)
        pasted += 1
    assert pasted >= 3


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 3.0])
def test_shares_follow_the_beta_distribution(alpha):
    drawn = beta(alpha, tf.constant(2000), SEED).numpy()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    for limit in (0.01, 0.25, 0.5, 0.75, 0.99):
        expected = stats.beta(alpha, alpha).cdf(limit)
        assert np.mean(drawn <= limit) == pytest.approx(expected, abs=0.04)


def test_the_same_seed_mixes_the_same_in_a_pipeline_and_another_does_not():
    images, labels = flat_batch()

    def mixed(seed):
        return mix(images, labels, 4, mixup=0.4, cutmix=1.0, seed=seed)

    piped = next(iter(tf.data.Dataset.from_tensors(SEED).map(mixed)))
    for ours, theirs in zip(piped, mixed(SEED)):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.abs(mixed(SEED + 1)[1] - piped[1]).max() > 0.01


def test_one_image_alone_stays_itself():
    images, labels = flat_batch(1)
    mixed, shares = mix(images, labels, 4, mixup=1.0, cutmix=0.0, seed=SEED)
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_allclose(shares, [[1, 0, 0, 0]], atol=1e-6)


def test_a_square_by_hand():
    kept = outside_square(8, tf.constant([[0.5, 0.25], [0.0, 1.0]]), tf.constant([0.5, 0.5]))
    expected = np.ones((2, 8, 8), bool)
    expected[0, 2:6, 0:4] = False
    expected[1, 0:2, 6:8] = False
    np.testing.assert_array_equal(kept[..., 0], expected)
