"""Colour spaces against OpenCV's float conversions and values known by definition."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.images.colour import (
    linear_to_srgb,
    luv_to_rgb,
    rgb_to_lightness,
    rgb_to_luv,
    srgb_to_linear,
)


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(0).random((16, 16, 3), np.float32)


def test_luv_agrees_with_opencv(colours):
    expected = cv2.cvtColor(colours, cv2.COLOR_RGB2Luv)
    # OpenCV interpolates its tables; its own error is about 0.2.
    np.testing.assert_allclose(rgb_to_luv(colours), expected, atol=0.3)


def test_lightness_is_the_first_channel_of_luv_and_of_lab(colours):
    lightness = rgb_to_lightness(colours).numpy()
    np.testing.assert_allclose(lightness, rgb_to_luv(colours)[..., :1], atol=1e-4)
    np.testing.assert_allclose(
        lightness[..., 0], cv2.cvtColor(colours, cv2.COLOR_RGB2Lab)[..., 0], atol=0.3
    )


@pytest.mark.parametrize(
    ("grey", "lightness"),
    # 0.18 of white's light has L* = 116 * 0.18 ** (1 / 3) - 16; its sRGB value is 0.4613561.
    [(0.0, 0.0), (1.0, 100.0), (0.4613561, 49.496)],
)
def test_lightness_of_known_greys(grey, lightness):
    colour = tf.fill([1, 1, 3], tf.constant(grey))
    assert float(rgb_to_lightness(colour)[0, 0, 0]) == pytest.approx(lightness, abs=2e-3)
    np.testing.assert_allclose(rgb_to_luv(colour)[0, 0, 1:], [0, 0], atol=0.02)


def test_luv_and_back(colours):
    extremes = np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]], np.float32)
    for image in (colours, extremes):
        np.testing.assert_allclose(luv_to_rgb(rgb_to_luv(image)), image, atol=2e-3)


def test_transfer_curve_and_back(colours):
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(colours)), colours, atol=1e-5)
    assert float(srgb_to_linear(tf.constant(0.5))) == pytest.approx(0.21404114, abs=1e-6)


def test_gradient_is_finite_at_black_and_white():
    image = tf.constant([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.2, 0.0, 0.9]]])
    with tf.GradientTape() as tape:
        tape.watch(image)
        back = tf.reduce_sum(luv_to_rgb(rgb_to_luv(image)))
    assert np.isfinite(tape.gradient(back, image)).all()
