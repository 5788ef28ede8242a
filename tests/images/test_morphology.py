"""Morphology against OpenCV (flat squares) and SciPy (balls)."""

import cv2
import numpy as np
import pytest
import scipy.ndimage

from melanoma_tf.images.morphology import ball, close, close_with, dilate, erode


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).random((23, 31), np.float32)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9, 13])
def test_squares_agree_with_opencv(image, size):
    element = np.ones((size, size), np.uint8)
    batch = image[None, ..., None]
    for ours, theirs in (
        (dilate, cv2.MORPH_DILATE),
        (erode, cv2.MORPH_ERODE),
        (close, cv2.MORPH_CLOSE),
    ):
        expected = cv2.morphologyEx(image, theirs, element)
        np.testing.assert_array_equal(ours(batch, size)[0, ..., 0], expected)


def test_channels_and_images_are_kept_apart():
    planes = np.random.default_rng(2).random((2, 9, 11, 3), np.float32)
    whole = dilate(planes, 3).numpy()
    for index in range(2):
        for channel in range(3):
            expected = cv2.dilate(planes[index, ..., channel], np.ones((3, 3)))
            np.testing.assert_array_equal(whole[index, ..., channel], expected)


def test_an_element_larger_than_the_image_takes_its_extremes(image):
    assert (dilate(image[None, ..., None], 99).numpy() == image.max()).all()


def test_ball_closing_agrees_with_scipy(image):
    element = ball(3, 0.2)
    outside = element < -1
    footprint, heights = ~outside, np.where(outside, 0, element)
    expected = scipy.ndimage.grey_erosion(
        scipy.ndimage.grey_dilation(
            image, footprint=footprint, structure=heights, mode="constant", cval=-1e3
        ),
        footprint=footprint, structure=heights, mode="constant", cval=1e3,
    )  # fmt: skip
    np.testing.assert_allclose(
        close_with(image[None, ..., None], element)[0, ..., 0], expected, atol=1e-6
    )


def test_a_ball_is_round_and_highest_in_the_middle():
    element = ball(2, 5.0)
    assert element.shape == (5, 5)
    assert element[2, 2] == 5.0
    assert (element[[0, 0, 4, 4], [0, 4, 0, 4]] < -1000).all()
    np.testing.assert_array_equal(element, element.T)
