import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.images import loading


def smooth_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image: np.ndarray, suffix: str) -> bytes:
    done, buffer = cv2.imencode(suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert done
    return buffer.tobytes()


@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    short_side=st.integers(8, 60),
    suffix=st.sampled_from([".jpg", ".png"]),
)
def test_the_short_side_is_as_asked_and_the_aspect_is_kept(height, width, short_side, suffix):
    loaded = loading.load_image(encoded(smooth_image(height, width), suffix), short_side)
    assert min(loaded.shape[:2]) == short_side
    long_side = max(height, width) * short_side / min(height, width)
    assert abs(max(loaded.shape[:2]) - long_side) <= 1
    assert loaded.dtype == tf.uint8


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (400, 300), (1200, 900)])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pixels_agree_with_area_averaging_by_opencv(size, suffix):
    file = encoded(smooth_image(*size), suffix)
    image = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    loaded = loading.load_image(file, 64).numpy()
    expected = cv2.resize(image, loaded.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(loaded.astype(int) - expected).mean() < 1.5


def test_an_image_of_the_right_size_is_not_resampled():
    image = smooth_image(40, 50)
    loaded = loading.load_image(encoded(image, ".png"), 40)
    np.testing.assert_array_equal(loaded, image)


def test_grey_and_transparent_images_become_rgb():
    grey = cv2.imencode(".png", np.full((20, 20), 70, np.uint8))[1].tobytes()
    np.testing.assert_array_equal(loading.load_image(grey, 20), np.full((20, 20, 3), 70))
    rgba = cv2.imencode(".png", np.full((20, 20, 4), 90, np.uint8))[1].tobytes()
    assert loading.load_image(rgba, 20).shape == (20, 20, 3)


def test_bytes_that_are_no_image_raise():
    with pytest.raises(tf.errors.InvalidArgumentError):
        loading.load_image(b"no image", 20)


def test_loading_in_a_dataset_gives_what_it_gives_eagerly():
    files = [encoded(smooth_image(100 + i, 80), ".jpg") for i in range(3)]
    mapped = tf.data.Dataset.from_tensor_slices(files).map(lambda f: loading.load_image(f, 32))
    for file, image in zip(files, mapped):
        np.testing.assert_array_equal(image, loading.load_image(file, 32))


def test_the_centre_crop_is_the_middle():
    image = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    np.testing.assert_array_equal(loading.centre_crop(image, 5), image[1:6, 2:7])


def test_random_flips_reach_every_orientation():
    image = np.arange(6 * 6 * 3, dtype=np.uint8).reshape(6, 6, 3)
    views = {loading.random_flips(image, [seed, 0]).numpy().tobytes() for seed in range(60)}
    expected = {np.ascontiguousarray(v).tobytes() for v in (
        image, image[::-1], image[:, ::-1], image[::-1, ::-1])}  # fmt: skip
    assert views == expected


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("short_side", [64, 48, 100])
def test_cropping_while_decoding_is_cropping_afterwards(suffix, short_side):
    """64 px is the stored size, where only a part of a JPEG is decoded."""
    file = encoded(smooth_image(64, 90), suffix)
    image = loading.load_image(file, short_side)
    for corner in (lambda shape: loading.centre_corner(shape, 40), lambda shape: [3, 5]):
        start = corner(tf.shape(image)[:2])
        expected = loading.crop(image, start, 40).numpy().astype(int)
        cropped = loading.load_crop(file, short_side, 40, corner).numpy()
        # The colours of a JPEG's blocks are smoothed across the edge of what is decoded.
        assert np.abs(cropped - expected).mean() < 0.1
