import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.encode import (
    Encoding,
    encode_image,
    encode_mask,
    fit_mask,
    fit_short_side,
)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_scaling_down_averages_areas():
    image = noise(40, 60)
    blocks = image.reshape(10, 4, 15, 4, 3).astype(float).mean(axis=(1, 3))
    scaled = fit_short_side(image, 10)
    assert scaled.shape == (10, 15, 3)
    assert np.abs(scaled - blocks).max() <= 0.5


def test_small_images_are_never_scaled_up():
    image = noise(30, 50)
    np.testing.assert_array_equal(fit_short_side(image, 30), image)
    np.testing.assert_array_equal(fit_short_side(image, 512), image)


@given(height=st.integers(1, 300), width=st.integers(1, 300), image_size=st.integers(1, 100))
def test_short_side_is_exact_and_the_aspect_kept_to_half_a_pixel(height, width, image_size):
    image = np.zeros((height, width, 3), np.uint8)
    new_height, new_width = fit_short_side(image, image_size).shape[:2]
    assert min(new_height, new_width) == min(height, width, image_size)
    scale = min(new_height, new_width) / min(height, width)
    assert abs(new_height - height * scale) <= 0.5
    assert abs(new_width - width * scale) <= 0.5


def test_masks_keep_their_two_values_and_their_place():
    mask = np.zeros((60, 90), np.uint8)
    mask[:30] = 255
    fitted = fit_mask(mask, 20, 30)
    expected = np.zeros((20, 30), np.uint8)
    expected[:10] = 255
    np.testing.assert_array_equal(fitted, expected)
    odd = fit_mask(np.where(noise(37, 53)[..., 0] > 99, 255, 0).astype(np.uint8), 20, 30)
    assert odd.shape == (20, 30)
    assert set(np.unique(odd)) == {0, 255}


def test_png_keeps_every_pixel_and_jpeg_comes_close():
    image = cv2.GaussianBlur(noise(64, 64), (0, 0), 6)
    png = encode_image(image, Encoding(image_format="png"))
    jpeg = encode_image(image, Encoding(quality=95))
    back = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(back, image)
    back = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(back.astype(int) - image).mean() < 3
    assert len(encode_image(image, Encoding(quality=50))) < len(jpeg)


def test_mask_png_is_lossless_and_has_one_channel():
    mask = np.where(noise(20, 30)[..., 0] > 127, 255, 0).astype(np.uint8)
    back = cv2.imdecode(np.frombuffer(encode_mask(mask), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "image size of at least 1; found 0"),
        ({"image_format": "webp"}, "jpeg, png; found 'webp'"),
        ({"quality": 101}, "from 1 to 100; found 101"),
    ],
)
def test_unusable_settings_are_refused(settings, message):
    with pytest.raises(MelanomaError, match=message):
        Encoding(**settings)


def test_an_image_longer_than_jpeg_allows_is_refused():
    with pytest.raises(MelanomaError, match="encoded"):
        encode_image(np.zeros((1, 70000, 3), np.uint8), Encoding())
