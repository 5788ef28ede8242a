"""Each operation against NumPy, SciPy or OpenCV, and the whole: in range, and decided by a seed."""

import colorsys
import dataclasses
import math

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from melanoma_tf.augmentation import geometric
from melanoma_tf.augmentation.classifier_augmentation import (
    change,
    crop_corner,
    cut_out,
    draw,
    load_view,
    place,
    turn,
    view,
)
from melanoma_tf.augmentation.photometric import recolour
from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS as PRESETS
from melanoma_tf.augmentation.settings import ClassifierAugmentation, preset
from melanoma_tf.core.errors import MelanomaError

SIZE = 32
EVERYTHING = dataclasses.replace(PRESETS["strong"], cutout=1.0)


def smooth_image(height=40, width=52, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def still(**changes):
    """Draws that change nothing but what is given."""
    seed = tf.constant([0, 0], tf.int64)
    return draw(PRESETS["none"], seed)._replace(
        **{name: tf.constant(value) for name, value in changes.items()}
    )


def in_a_pipeline(function, *arguments):
    mapped = tf.data.Dataset.from_tensors(tuple(map(tf.constant, arguments))).map(function)
    return next(iter(mapped)).numpy()


def test_nothing_asked_for_is_the_middle_of_the_image():
    image = smooth_image()
    found = view(image, still(), PRESETS["none"], SIZE)
    np.testing.assert_array_equal(found, image[4:36, 10:42])


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_flips_and_quarter_turns_are_numpys(flips, turns):
    image = smooth_image(SIZE, SIZE)
    flipped = np.flip(image, [axis for axis in (0, 1) if flips[axis]])
    expected = np.rot90(flipped, turns)
    np.testing.assert_array_equal(turn(image, tf.constant(flips), turns), expected)
    np.testing.assert_array_equal(in_a_pipeline(turn, image, flips, turns), expected)


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("where", [(0.5, 0.5), (0.0, 1.0)])
def test_placing_without_angle_or_scale_is_cropping_and_turning(where, turns):
    image = smooth_image()
    draws = still(place=where, flips=(True, False), quarter_turns=turns)
    row, column = {(0.5, 0.5): (4, 10), (0.0, 1.0): (0, 20)}[where]
    expected = np.rot90(image[row : row + SIZE, column : column + SIZE][::-1], turns)
    placed = place(tf.cast(image, tf.float32), draws, SIZE)
    np.testing.assert_allclose(placed, expected, atol=0.01)


@pytest.mark.parametrize(("degrees", "scale"), [(30.0, 1.0), (-75.0, 1.0), (0.0, 1.4), (20, 0.8)])
def test_turning_and_scaling_are_opencvs(degrees, scale):
    image = smooth_image(SIZE, SIZE).astype(np.float32)
    middle = (SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, scale)
    expected = cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)

    def placed(pixels, angle, zoom):
        return place(pixels, still()._replace(angle=angle, scale=zoom), SIZE)

    angle = np.float32(math.radians(degrees))
    eager = placed(tf.constant(image), tf.constant(angle), tf.constant(scale, tf.float32)).numpy()
    # OpenCV rounds places to 1/32 of a pixel.
    assert np.abs(eager - expected).mean() < 0.5
    assert np.abs(eager - expected).max() < 4.0
    piped = in_a_pipeline(placed, image, angle, np.float32(scale))
    np.testing.assert_allclose(piped, eager, atol=1e-2)


def test_an_elastic_warp_is_scipys():
    image = smooth_image(SIZE, SIZE).astype(np.float32) / 255
    flow = geometric.elastic_flow(SIZE, 0.05, tf.constant([1, 2])).numpy()
    assert flow.shape == (SIZE, SIZE, 2)
    assert 0.3 < flow.std() / (0.05 * SIZE) < 1.5
    places = np.moveaxis(np.mgrid[:SIZE, :SIZE].astype(float), 0, -1) - flow
    expected = np.stack(
        [map_coordinates(image[..., c], np.moveaxis(places, -1, 0), order=1, mode="nearest")
         for c in range(3)], -1)  # fmt: skip
    np.testing.assert_allclose(geometric.warp(tf.constant(image), flow), expected, atol=1e-4)
    np.testing.assert_allclose(in_a_pipeline(geometric.warp, image, flow), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_turning_scaling_and_warping_at_once_is_scipys(dtype):
    image = smooth_image(40, 56).astype(dtype)
    transform = geometric.projective_transform(
        angle=tf.constant(0.4),
        flips=tf.constant([True, False]),
        step_px=tf.constant([1.2, 1.2]),
        centre=tf.constant([18.0, 30.0]),
        size_px=SIZE,
    )
    seed = tf.constant([1, 2])
    flow = geometric.elastic_flow(SIZE, 0.03, seed).numpy()
    coarse = geometric.coarse_flow(SIZE, 0.03, seed)
    a0, a1, a2, b0, b1, b2, *_ = transform.numpy()
    rows, columns = np.moveaxis(np.moveaxis(np.mgrid[:SIZE, :SIZE], 0, -1) - flow, -1, 0)
    places = [b0 * columns + b1 * rows + b2, a0 * columns + a1 * rows + a2]
    assert min(map(np.min, places)) < -1
    expected = np.stack(
        [map_coordinates(image[..., c].astype(float), places, order=1, mode="reflect")
         for c in range(3)], -1)  # fmt: skip
    found = geometric.resample_warped(tf.constant(image), transform, coarse, SIZE)
    assert found.dtype == dtype
    # OpenCV rounds places to 1/32 of a pixel, and uint8 to whole levels.
    difference = np.abs(found.numpy().astype(float) - expected)
    assert difference.mean() < 0.4
    assert difference.max() < 2.0


def test_beyond_the_image_lies_its_mirror_image_without_a_warp_too():
    image = smooth_image(40, 56)
    transform = geometric.projective_transform(
        angle=tf.constant(0.0),
        flips=tf.constant([False, False]),
        step_px=tf.constant([1.0, 1.0]),
        centre=tf.constant([0.0, 0.0]) + (SIZE - 1) / 2 - 6.0,
        size_px=SIZE,
    )
    expected = np.pad(image, [(6, 0), (6, 0), (0, 0)], mode="symmetric")[:SIZE, :SIZE]
    moved = geometric.resample_warped(tf.constant(image), transform, None, SIZE)
    np.testing.assert_array_equal(moved, expected)


def recoloured_by_hand(image, hue, saturation, contrast, brightness):
    turned = np.empty_like(image)
    for place_ in np.ndindex(image.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*image[place_])
        turned[place_] = colorsys.hsv_to_rgb((h + hue) % 1.0, s, v)
    grey = turned.mean(-1, keepdims=True)
    turned = grey + (turned - grey) * saturation
    turned = turned.mean() + (turned - turned.mean()) * contrast
    return np.clip(turned * brightness, 0, 1)


@pytest.mark.parametrize(
    ("hue", "saturation", "contrast", "brightness"),
    [(0.2, 1, 1, 1), (-0.3, 1, 1, 1), (0, 0.5, 1, 1), (0, 1, 1.5, 1), (0, 1, 1, 0.7),
     (0.1, 2, 0.8, 1.3)],
)  # fmt: skip
def test_colours_by_hand(hue, saturation, contrast, brightness):
    image = smooth_image(12, 10).astype(np.float32) / 255
    expected = recoloured_by_hand(image, hue, saturation, contrast, brightness)

    def recoloured(pixels, h, s, c, b):
        return recolour(pixels, hue=h, saturation=s, contrast=c, brightness=b)

    values = [np.float32(value) for value in (hue, saturation, contrast, brightness)]
    np.testing.assert_allclose(recoloured(image, *values), expected, atol=1e-4)
    np.testing.assert_allclose(in_a_pipeline(recoloured, image, *values), expected, atol=1e-4)


def test_cutting_out_by_hand():
    image = smooth_image(SIZE, SIZE).astype(np.float32)
    expected = image.copy()
    expected[4:12, 24:32] = image.mean((0, 1))
    centre = np.array([0.25, 1.0 - 4 / SIZE], np.float32)
    np.testing.assert_allclose(cut_out(tf.constant(image), centre, 0.25), expected, rtol=1e-4)
    piped = in_a_pipeline(lambda pixels, c: cut_out(pixels, c, 0.25), image, centre)
    np.testing.assert_allclose(piped, expected, rtol=1e-4)


@given(height=st.integers(4, 12), width=st.integers(4, 12))
@settings(max_examples=10)
def test_a_uniform_place_reaches_every_corner_equally_often(height, width):
    shape = tf.constant([height, width])
    steps = (np.arange(2520) + 0.5) / 2520  # Divisible by every number of corners up to 9.
    rows = [int(crop_corner(shape, 4, tf.constant([p, 0.5], tf.float32))[0]) for p in steps[::36]]
    assert set(rows) == set(range(height - 3))
    counts = np.bincount(rows)
    assert counts.max() - counts.min() <= 2
    middle = crop_corner(shape, 4, tf.constant([0.5, 0.5])).numpy()
    np.testing.assert_array_equal(middle, [(height - 4) // 2, (width - 4) // 2])


def test_draws_keep_their_ranges_and_fill_them():
    ranges = ClassifierAugmentation(
        True, True, True, 30.0, 0.8, 1.25, 0.0, 0.2, 0.3, 0.4, 0.05, cutout=0.3
    )
    seeds = tf.stack([tf.zeros(400, tf.int64), tf.range(400, dtype=tf.int64)], 1)
    drawn = tf.data.Dataset.from_tensor_slices(seeds).map(lambda seed: draw(ranges, seed)._asdict())
    draws = next(iter(drawn.batch(400)))
    limits = {
        "place": (0, 1), "angle": (-math.pi / 6, math.pi / 6), "scale": (0.8, 1.25),
        "brightness": (1 / 1.2, 1.2), "contrast": (1 / 1.3, 1.3), "saturation": (1 / 1.4, 1.4),
        "hue": (-0.05, 0.05), "cutout_centre": (0, 1),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        values, room = draws[name].numpy(), high - low
        assert values.min() >= low - 1e-5
        assert values.max() <= high + 1e-5
        assert values.min() < low + 0.05 * room
        assert values.max() > high - 0.05 * room
    assert np.bincount(draws["quarter_turns"]).min() > 60
    for name, share in (("flips", 0.5), ("cutout", 0.3)):
        assert np.mean(draws[name], 0) == pytest.approx(share, abs=0.08)
    quiet = draw(PRESETS["none"], seeds[0])
    for name, value in still()._asdict().items():
        if name not in ("flow_seed", "cutout_centre"):
            np.testing.assert_array_equal(getattr(quiet, name), value)


def strongly(seed, image):
    return view(image, draw(EVERYTHING, seed), EVERYTHING, SIZE)


def test_the_same_seed_gives_the_same_image_eagerly_and_in_a_pipeline():
    image, seed = smooth_image(), tf.constant([5, 16], tf.int64)
    piped = in_a_pipeline(strongly, seed, image)
    np.testing.assert_array_equal(piped, in_a_pipeline(strongly, seed, image))
    eager = strongly(seed, image).numpy()
    assert eager.dtype == np.uint8
    assert eager.shape == (SIZE, SIZE, 3)
    # A pixel at a rounding edge may fall to the other side.
    assert np.mean(np.abs(piped.astype(int) - eager) > 1) < 0.01
    assert np.abs(strongly(seed + 16, image).numpy().astype(int) - eager).mean() > 3


@pytest.mark.parametrize("value", [0, 255])
def test_black_stays_black_and_nothing_wraps_around(value):
    image = np.full((40, 52, 3), value, np.uint8)
    for number in range(4):
        found = strongly(tf.constant([1, 16 * number], tf.int64), image).numpy()
        assert found.max() == 0 if value == 0 else found.min() > 255 / 1.25


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_view_of_a_file_is_the_view_of_the_image(name):
    image = smooth_image()
    encoded = tf.io.encode_png(image)
    draws = draw(PRESETS[name], tf.constant([2, 32], tf.int64))
    options = {"short_side_px": 40, "size_px": SIZE}
    np.testing.assert_array_equal(
        load_view(encoded, draws, PRESETS[name], **options),
        view(image, draws, PRESETS[name], SIZE),
    )


def test_a_crop_that_is_not_changed_is_not_touched():
    image = tf.constant(smooth_image(SIZE, SIZE))
    assert change(image, still(), PRESETS["standard"]) is image


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixup": -1.0}, "expected mixup 0 or more; found -1.0"),
        ({"cutmix": math.nan}, "expected cutmix 0 or more; found nan"),
        ({"mixup": math.inf}, "expected mixup 0 or more; found inf"),
        ({"cutout": 1.5}, r"expected cutout within \[0, 1\]; found 1.5"),
        ({"hue": 0.7}, r"expected hue within \[0, 0.5\]; found 0.7"),
        ({"rotation_degrees": 200.0}, r"rotation_degrees within \[0, 180\]; found 200.0"),
        ({"smallest_scale": 1.2}, "a largest one no smaller; found 1.2 and 1.0"),
        ({"smallest_scale": 0.0}, "expected a smallest scale above 0"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(MelanomaError, match=message):
        ClassifierAugmentation(**values)


def test_an_unknown_preset_is_refused():
    with pytest.raises(MelanomaError, match="out of none, standard, strong; found weak"):
        preset(PRESETS, "weak")
