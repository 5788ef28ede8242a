"""Image and mask move together; appearance varies, masks stay masks; a seed decides."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.augmentation import geometric, overlays, photometric
from melanoma_tf.augmentation.settings import GeometricAugmentation, PhotometricAugmentation

STILL = GeometricAugmentation(
    flips=False,
    rotation_degrees=0.0,
    smallest_scale=1.0,
    largest_scale=1.0,
    smallest_lesion=1.0,
    shift=0.0,
    elastic=0.0,
)


def picture(size=64, radius=14, centre=(24, 36)):
    """A dark disc on light skin with a soft texture, and its mask."""
    rows, columns = np.mgrid[:size, :size]
    mask = (np.hypot(rows - centre[0], columns - centre[1]) < radius).astype(np.float32)[..., None]
    texture = 0.05 * np.sin(rows + 0.5 * columns)[..., None]
    image = np.where(mask > 0, 0.2, 0.8) + texture
    return image.astype(np.float32).repeat(3, -1), mask


def moved(settings, seed, **options):
    image, mask = picture(**options)
    both = geometric.augment(
        tf.constant(image), tf.constant(mask), 64, settings, tf.constant([seed, 1])
    ).numpy()
    return both[..., :3], both[..., 3]


def test_without_augmentation_nothing_changes():
    image, mask = picture()
    found, found_mask = moved(STILL, 0)
    np.testing.assert_allclose(found[4:-4, 4:-4], image[4:-4, 4:-4], atol=1e-5)
    np.testing.assert_array_equal(found_mask, mask[..., 0])


@pytest.mark.parametrize("seed", range(12))
def test_the_mask_follows_the_disc_and_stays_binary(seed):
    image, mask = moved(GeometricAugmentation(smallest_lesion=0.2), seed)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    dark = image.mean(-1) < 0.5
    assert (dark & (mask > 0)).sum() / (dark | (mask > 0)).sum() > 0.8


def test_smaller_lesions_are_drawn_and_never_smaller_than_asked():
    ranges = GeometricAugmentation(smallest_lesion=0.1, shift=0.0, elastic=0.0)
    areas = [moved(ranges, seed)[1].mean() for seed in range(40)]
    diameters = np.sqrt(areas)
    own = np.sqrt(picture()[1].mean())
    assert diameters.min() < 0.6 * own
    assert diameters.min() > 0.08
    assert diameters.max() > 1.1 * own


def test_an_image_whose_lesion_touches_the_border_is_never_made_smaller():
    ranges = GeometricAugmentation(rotation_degrees=0.0, shift=0.0, elastic=0.0)
    for seed in range(12):
        _, mask = moved(ranges, seed, centre=(0, 32))
        assert mask[0].any() or mask[-1].any()


def test_one_axis_is_stretched_and_none_pressed():
    ranges = dataclasses.replace(STILL, aspect=1.4)
    sides = []
    for seed in range(30):
        _, mask = moved(ranges, seed, centre=(32, 32))
        sides.append((mask.any(1).sum() / 27, mask.any(0).sum() / 27))  # A disc of radius 14.
    factors = np.array(sides)
    assert np.all(factors > 0.95)
    assert np.all(factors.min(1) < 1.05)
    assert factors.max(0) == pytest.approx(1.4, abs=0.1)
    np.testing.assert_array_equal(moved(ranges, 0)[0], moved(ranges, 0)[0])


def test_beyond_the_image_there_is_skin_and_no_second_lesion():
    ranges = GeometricAugmentation(
        smallest_scale=0.4, largest_scale=0.4, smallest_lesion=1.0, shift=0.0, elastic=0.0
    )
    image, mask = moved(ranges, 3, centre=(32, 32), radius=18)
    grey = image.mean(-1)
    assert (grey[mask == 0] > 0.45).mean() > 0.97
    assert grey[:8].mean() == pytest.approx(0.8, abs=0.1)


def test_the_same_seed_moves_the_same_way_eagerly_and_in_a_pipeline():
    image, mask = map(tf.constant, picture())
    seed = tf.constant([7, 9])
    eager = geometric.augment(image, mask, 48, GeometricAugmentation(), seed)
    piped = next(iter(tf.data.Dataset.from_tensors(seed).map(
        lambda drawn: geometric.augment(image, mask, 48, GeometricAugmentation(), drawn)
    )))  # fmt: skip
    # An interpolated pixel may round to the other side where the mask's edge passes through it.
    assert np.mean(np.abs(eager - piped) > 1e-4) < 0.01
    assert (
        np.mean(
            np.abs(eager - geometric.augment(image, mask, 48, GeometricAugmentation(), seed + 1))
            > 1e-2
        )
        > 0.1
    )


@pytest.mark.parametrize("seed", range(6))
def test_appearance_varies_within_range_and_masks_only_lose(seed):
    image, mask = map(tf.constant, picture())
    always = PhotometricAugmentation(
        blur=1.0, dark_corners=1.0, hairs=1.0, ruler=1.0, ink=1.0, sticker=1.0
    )
    found, found_mask = photometric.augment(image, mask, always, tf.constant([seed, 2]))
    assert found.shape == image.shape
    assert float(tf.reduce_min(found)) >= 0.0
    assert float(tf.reduce_max(found)) <= 1.0
    assert np.isfinite(found).all()
    assert set(np.unique(found_mask)) <= {0.0, 1.0}
    assert (found_mask <= mask).numpy().all()
    assert float(tf.reduce_mean(tf.abs(found - image))) > 0.02
    again, _ = photometric.augment(image, mask, always, tf.constant([seed, 2]))
    np.testing.assert_array_equal(found, again)


def test_nothing_asked_for_nothing_changed():
    image, mask = map(tf.constant, picture())
    nothing = PhotometricAugmentation(0, 0, 0, 0, 0, 0, 0, 0)
    found, found_mask = photometric.augment(image, mask, nothing, tf.constant([1, 2]))
    np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(found_mask, mask)


@pytest.mark.parametrize("overlay", [overlays.hairs, overlays.ruler, overlays.ink])
def test_what_lies_on_the_skin_covers_little_and_leaves_the_lesion_a_lesion(overlay):
    image, mask = map(tf.constant, picture())
    changed = []
    for seed in range(8):
        found, found_mask = overlay(image, mask, tf.constant([seed, 3]))
        np.testing.assert_array_equal(found_mask, mask)
        changed.append(np.mean(np.abs(found - image).max(-1) > 0.02))
    assert 0.0 < np.mean(changed) < 0.5


def test_a_lens_is_black_in_the_corners_and_a_sticker_one_colour():
    image, mask = map(tf.constant, picture())
    drawn = [overlays.dark_corners(image, mask, tf.constant([s, 4]))[0] for s in range(8)]
    assert min(float(tf.reduce_max(one[0, 0])) for one in drawn) < 0.2
    stuck = [overlays.sticker(image, mask, tf.constant([s, 5])) for s in range(16)]
    hidden = [np.abs(one - image).max(-1) > 0.02 for one, _ in stuck]
    assert any(covered.any() for covered in hidden)
    for covered, (one, found_mask) in zip(hidden, stuck):
        assert not (covered & (found_mask.numpy()[..., 0] > 0)).any()
        assert float(tf.reduce_sum(found_mask)) >= 0.7 * float(tf.reduce_sum(mask))
        if covered.any():
            assert np.ptp(one.numpy()[covered], axis=0).max() < 1e-5
