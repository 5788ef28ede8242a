"""Images shown as no camera would: structure stays, appearance changes, and seeds decide."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation.photometric import augment
from melanoma_tf.augmentation.random_convolution import random_convolution
from melanoma_tf.augmentation.settings import PhotometricAugmentation

SIZE = 48


def picture():
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = (np.hypot(rows - 22, columns - 26) < 9).astype(np.float32)[..., None]
    image = np.where(mask > 0, [0.4, 0.25, 0.15], [0.85, 0.7, 0.6])
    noise = np.random.default_rng(3).normal(0.0, 0.02, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32), mask


def shown(seed, image=None):
    plain, mask = picture()
    found, found_mask = random_convolution(
        tf.constant(plain if image is None else image), tf.constant(mask), tf.constant([seed, 7])
    )
    np.testing.assert_array_equal(found_mask, mask)
    assert found.dtype == tf.float32
    assert found.numpy().min() >= 0.0
    assert found.numpy().max() <= 1.0
    return found.numpy()


def test_the_lesion_stays_where_it_is_whatever_it_looks_like():
    _, mask = picture()
    inside = mask[..., 0] > 0
    darker, separations = 0, []
    for seed in range(30):
        found = shown(seed)
        difference = found[inside].mean(0) - found[~inside].mean(0)
        spread = (found[inside].std(0) + found[~inside].std(0)) / 2 + 1e-3
        separations.append(np.abs(difference / spread).max())
        darker += difference.mean() < 0
    # Nearly always something else still than its skin, mostly darker and not always.
    assert np.mean(np.array(separations) > 1.5) > 0.8
    assert 15 < darker < 30


def test_colours_change_far_and_their_mean_little():
    image, _ = picture()
    found = np.stack([shown(seed) for seed in range(30)])
    assert np.median(np.abs(found - image).mean(axis=(1, 2, 3))) > 0.02
    assert np.abs(found.mean(axis=(0, 1, 2)) - image.mean(axis=(0, 1))).max() < 0.03


def test_same_seed_same_picture_and_another_seed_another():
    np.testing.assert_array_equal(shown(4), shown(4))
    assert np.abs(shown(4) - shown(5)).max() > 0.02


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_plain_image_stays_finite(level):
    found = shown(1, np.full((SIZE, SIZE, 3), level, np.float32))
    assert np.isfinite(found).all()
    assert np.abs(found - level).max() < 0.05


def test_appearance_shows_the_share_that_was_asked_for():
    image, mask = map(tf.constant, picture())
    nothing = dict.fromkeys(PhotometricAugmentation.__dataclass_fields__, 0.0)
    asked = PhotometricAugmentation(**{**nothing, "random_convolution": 0.5})
    found = [augment(image, mask, asked, tf.constant([seed, 3]))[0].numpy() for seed in range(60)]
    changed = sum(np.abs(one - image.numpy()).max() > 1e-6 for one in found)
    assert 18 < changed < 42
