"""The threshold of each image by its outline, against arrays made by hand and against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from melanoma_tf.segmentation.adaptive_threshold import apply_adaptive_threshold, outline_contrast

SIZE = 72


def disc(radius, centre=(36, 36)):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.hypot(rows - centre[0], columns - centre[1]) < radius


def scene(dark, seed=0):
    noise = np.random.default_rng(seed).normal(0, 6, (SIZE, SIZE, 3))
    image = np.where(dark[..., None], [110, 70, 60], [210, 160, 150]) + noise
    return np.clip(image, 0, 255).astype(np.float32)[None]


def soft(values):
    return ndimage.gaussian_filter(values, 1.5).astype(np.float32)[None, ..., None]


def found(image, probability, threshold=0.5):
    result = apply_adaptive_threshold(
        tf.constant(image), tf.constant(probability), threshold
    ).numpy()
    return result[0, ..., 0] > threshold, result


def test_a_lesion_on_skin_that_the_network_half_takes_for_lesion_is_freed():
    lesion = disc(9)
    probability = soft(np.where(lesion, 0.97, 0.62))
    assert (probability > 0.5).all()
    mask, result = found(scene(lesion), probability)
    assert (mask & lesion).sum() / (mask | lesion).sum() > 0.85
    # Moved along together: the order of the pixels stays.
    order = np.argsort(probability.ravel(), kind="stable")
    assert (np.diff(result.ravel()[order]) >= -1e-6).all()


def test_a_true_large_lesion_stays():
    lesion = disc(31)
    # Something darker in it, of which the network is surer.
    probability = soft(np.where(disc(8), 0.98, np.where(lesion, 0.9, 0.05)))
    mask, _ = found(scene(lesion), probability)
    assert (mask & lesion).sum() / (mask | lesion).sum() > 0.9


def test_a_faint_but_plain_lesion_is_outlined_where_it_ends():
    lesion = disc(14)
    probability = soft(np.where(lesion, 0.56, 0.02) + np.where(disc(4), 0.3, 0.0))
    mask, _ = found(scene(lesion), probability)
    assert (mask & lesion).sum() / (mask | lesion).sum() > 0.85


@pytest.mark.parametrize("value", [0.0, 0.3, 0.8, 1.0])
def test_a_flat_map_and_one_in_which_nothing_is_found_stay(value):
    probability = np.full((1, SIZE, SIZE, 1), value, np.float32)
    np.testing.assert_array_equal(found(scene(disc(9)), probability)[1], probability)
    faint = soft(np.where(disc(9), 0.45, 0.1))
    np.testing.assert_array_equal(found(scene(disc(9)), faint)[1], faint)


def test_contrast_is_slope_times_step_of_density():
    lesion, image = disc(15), scene(disc(15), 3)
    probability = soft(np.where(lesion, 0.9, 0.1))
    value = outline_contrast(
        tf.constant(image),
        tf.constant(probability),
        tf.constant(lesion, tf.float32)[None, ..., None],
    )
    flat = probability[0, ..., 0]
    slopes = np.hypot(*(ndimage.sobel(flat, axis, mode="mirror") for axis in (0, 1)))
    square = np.ones((3, 3))
    edge = ndimage.binary_dilation(lesion, square) & ~ndimage.binary_erosion(lesion, square)
    band = np.ones((7, 7))  # 72 / 24 on either side.
    outside = ndimage.binary_dilation(lesion, band) & ~lesion
    within = lesion & ~ndimage.binary_erosion(lesion, band)
    density = ndimage.uniform_filter(-np.log(image[0] / 255), (3, 3, 1))
    step = density[within].mean(0) - density[outside].mean(0)
    deviation = np.sqrt((density[within].var(0) + density[outside].var(0)) / 2) + 0.02
    expected = slopes[edge].mean() * (step / deviation).mean()
    np.testing.assert_allclose(value, [expected], rtol=1e-3)


def test_a_lesion_lighter_than_its_skin_or_filling_the_image_has_no_contrast():
    probability = tf.constant(soft(np.where(disc(9), 0.9, 0.1)))
    one = tf.constant(disc(9), tf.float32)[None, ..., None]
    assert outline_contrast(255.0 - scene(disc(9)), probability, one).numpy().item() == 0.0
    ones, zeros = tf.ones_like(one), tf.zeros_like(one)
    assert outline_contrast(scene(disc(9)), probability, ones).numpy().item() == 0.0
    assert outline_contrast(scene(disc(9)), probability, zeros).numpy().item() == 0.0
