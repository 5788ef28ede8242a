"""Skin varied by what absorbs light in it, lesions made pale, gel drawn: by optical densities."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation import overlays, skin
from melanoma_tf.augmentation.photometric import augment
from melanoma_tf.augmentation.settings import PhotometricAugmentation

SIZE = 64


def picture(radius=12):
    """A brown disc on plain skin, and its mask."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = (np.hypot(rows - 30, columns - 34) < radius).astype(np.float32)[..., None]
    image = np.where(mask > 0, [0.4, 0.25, 0.15], [0.85, 0.7, 0.6]).astype(np.float32)
    return image, mask


def changed(overlay, seed, **options):
    image, mask = map(tf.constant, picture(**options))
    found, found_mask = overlay(image, mask, tf.constant([seed, 5]))
    np.testing.assert_array_equal(found_mask, mask)
    assert found.shape == image.shape
    assert np.isfinite(found).all()
    return found.numpy()


def test_mottles_only_absorb_and_show_less_within_the_lesion():
    image, mask = picture()
    mottle = tf.function(skin.mottle)
    added = [-np.log(changed(mottle, seed) / image) for seed in range(60)]
    assert min(each.min() for each in added) > -1e-5
    # Red is absorbed least: by blood by far, by melanin still.
    for each in added:
        assert (each[..., 0] <= each[..., 1] + 1e-5).all()
    inside, outside = (np.mean([each[where].mean() for each in added])
                       for where in (mask[..., 0] > 0, mask[..., 0] == 0))  # fmt: skip
    assert 0.0 < inside < outside
    patchiness = [each[mask[..., 0] == 0][:, 1].std() for each in added]
    assert np.median(patchiness) > 0.03
    assert np.std([each.mean() for each in added]) > 0.02


def test_a_pale_lesion_loses_density_and_the_skin_nothing():
    image, _ = picture()
    left = []
    for seed in range(10):
        found = changed(skin.pale, seed)
        np.testing.assert_allclose(found[:8], image[:8], atol=1e-5)
        centre, skin_colour = found[30, 34], image[0, 0]
        left.append(np.log(centre / skin_colour) / np.log(image[30, 34] / skin_colour))
    left = np.array(left)
    # The same share of every channel's density over the skin's.
    assert np.ptp(left, axis=1).max() < 0.1
    assert left.min() >= 0.2
    assert left.max() <= 1.05
    assert np.ptp(left.mean(1)) > 0.2


def test_the_skin_is_continued_under_the_lesion():
    image, mask = map(tf.constant, picture(radius=20))
    np.testing.assert_allclose(skin.surrounding_skin(image, mask)[30, 34], image[0, 0], atol=0.02)
    everything = skin.surrounding_skin(image, tf.ones_like(mask))
    np.testing.assert_array_equal(everything, np.ones((SIZE, SIZE, 3)))


def test_gel_is_transparent():
    """Arcs and glare cover little; elsewhere the picture is a little lighter or darker."""
    image, _ = picture()
    for seed in range(10):
        found = changed(overlays.gel, seed)
        ratio = found / image
        assert np.mean((ratio > 0.5) & (ratio < 1.6)) > 0.85
    assert np.abs(changed(overlays.gel, 3) - image).max() > 0.05


@pytest.mark.parametrize("field", ["mottled_skin", "pale_lesion", "gel"])
def test_they_are_asked_for_by_share_and_repeat_with_their_seed(field):
    nothing = dict.fromkeys(
        ("colour", "illumination", "blur", "dark_corners", "hairs", "ruler", "ink", "sticker"), 0.0
    )
    image, mask = map(tf.constant, picture())
    seed = tf.constant([4, 9])
    same, _ = augment(image, mask, PhotometricAugmentation(**nothing), seed)
    np.testing.assert_array_equal(same, image)
    settings = PhotometricAugmentation(**{**nothing, field: 1.0})
    first, _ = augment(image, mask, settings, seed)
    again, _ = tf.function(lambda *given: augment(*given, settings, seed))(image, mask)
    assert np.abs(first - image).max() > 1e-3
    np.testing.assert_allclose(first, again, atol=1e-5)
