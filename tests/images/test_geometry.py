"""Sizes and borders against OpenCV and hand-made arrays."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.images.geometry import (
    fit_long_side,
    halve,
    pad_with_edge,
    repeat_twice,
    resize,
    window,
)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_the_long_side_fits_and_proportions_stay(height, width):
    rows, columns = (int(side) for side in fit_long_side(np.empty([0, height, width, 3]), 512))
    assert max(rows, columns) == 512
    exact = min(height, width) * 512 / max(height, width)
    assert min(rows, columns) == max(1, int(exact + 0.5))


def test_a_sliver_is_widened_to_the_least_side():
    rows, columns = fit_long_side(np.empty([1, 2, 2000, 3]), 512, 32)
    assert (int(rows), int(columns)) == (32, 512)


def test_halving_averages_blocks_and_counts_an_odd_last_pixel_twice():
    image = np.arange(15, dtype=np.float32).reshape(1, 3, 5, 1)
    expected = [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    np.testing.assert_allclose(halve(image)[0, ..., 0], expected)


@pytest.mark.parametrize("size", [(64, 48), (40, 30), (128, 96), (100, 33)])
def test_resize_agrees_with_opencv(size):
    image = np.random.default_rng(0).random((64, 48, 3), np.float32)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resize(image[None], *size)[0], expected, atol=1e-4)


def test_a_large_reduction_averages_instead_of_skipping():
    stripes = np.tile(np.float32([0, 1]), (64, 32))[None, ..., None]
    np.testing.assert_allclose(resize(stripes, 8, 8), np.full([1, 8, 8, 1], 0.5))


def test_windows_of_a_padded_image_are_shifted_images():
    image = np.arange(20, dtype=np.float32).reshape(1, 4, 5)
    padded = pad_with_edge(image, 2)
    np.testing.assert_array_equal(padded[0], np.pad(image[0], 2, "edge"))
    for move in ((0, 0), (2, -1), (-2, 2)):
        shifted = np.pad(image[0], 2, "edge")[2 + move[0] :, 2 + move[1] :][:4, :5]
        np.testing.assert_array_equal(window(padded, 2, move)[0], shifted)


def test_repeating_twice_gives_blocks():
    image = np.array([[[1, 2], [3, 4]]], np.uint8)
    np.testing.assert_array_equal(
        repeat_twice(image, 4, 3)[0], [[1, 1, 2], [1, 1, 2], [3, 3, 4], [3, 3, 4]]
    )
