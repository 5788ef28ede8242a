"""Filling holes, where the right answer is known."""

import numpy as np

from melanoma_tf.images.filling import fill


def holes(shape, *squares):
    mask = np.zeros((1, *shape, 1), np.float32)
    for rows, columns in squares:
        mask[0, rows, columns] = 1
    return mask


def test_what_is_known_stays_the_same():
    image = np.random.default_rng(0).random((1, 37, 53, 3), np.float32)
    mask = (np.random.default_rng(1).random((1, 37, 53, 1)) < 0.3).astype(np.float32)
    kept = mask[0, ..., 0] == 0
    np.testing.assert_array_equal(fill(image, mask).numpy()[0][kept], image[0][kept])


def test_a_hole_in_one_colour_gets_that_colour():
    image = np.full((1, 40, 60, 3), (0.8, 0.5, 0.3), np.float32)
    mask = holes((40, 60), (slice(5, 30), slice(10, 50)), (slice(0, 40), slice(55, 60)))
    damaged = np.where(mask > 0, np.float32(0), image)
    np.testing.assert_allclose(fill(damaged, mask), image, atol=1e-5)


def test_a_hair_on_a_slope_is_filled_close_to_the_slope():
    slope = np.linspace(0.2, 0.8, 64, dtype=np.float32)
    image = np.broadcast_to(slope[None, None, :, None], (1, 64, 64, 3)).copy()
    mask = holes((64, 64), (slice(0, 64), slice(30, 34)))
    filled = fill(np.where(mask > 0, np.float32(0), image), mask).numpy()
    assert abs(filled - image).max() < 0.02


def test_values_under_the_hole_do_not_matter():
    image = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    mask = holes((32, 32), (slice(8, 20), slice(3, 30)))
    other = np.where(mask > 0, np.float32(0.123), image)
    np.testing.assert_allclose(fill(image, mask), fill(other, mask), atol=1e-6)


def test_filling_stays_within_the_range_of_what_is_known():
    image = np.random.default_rng(3).uniform(0.4, 0.6, (1, 50, 50, 3)).astype(np.float32)
    mask = holes((50, 50), (slice(1, 49), slice(1, 49)))
    filled = fill(image * (1 - mask), mask).numpy()
    assert filled.min() >= 0.39
    assert filled.max() <= 0.61


def test_nothing_known_gives_zeros_and_no_nan():
    filled = fill(np.ones((1, 16, 16, 3), np.float32), np.ones((1, 16, 16, 1), np.float32))
    np.testing.assert_array_equal(filled, np.zeros((1, 16, 16, 3)))
