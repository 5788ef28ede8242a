"""Every random stream has a name of its own, and no two draws of an example share numbers."""

import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import melanoma_tf
from melanoma_tf.augmentation import geometric, mixing, overlays, photometric
from melanoma_tf.augmentation import synthetic_occlusions as occlusions
from melanoma_tf.augmentation.classifier_augmentation import draw, view
from melanoma_tf.augmentation.settings import (
    CLASSIFIER_PRESETS,
    GeometricAugmentation,
    PhotometricAugmentation,
)
from melanoma_tf.core.random_streams import Stream, example_seed

PACKAGE = Path(melanoma_tf.__file__).parent
SIZE = 32
SEED = tf.constant([3, 4], tf.int64)
EVERYTHING = PhotometricAugmentation(
    **dict.fromkeys(PhotometricAugmentation.__dataclass_fields__, 1.0)
)


def streams_of_the_package():
    """The name of every `Stream(...)` in the package, which must be a literal."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Stream":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: no literal name"
                yield name.value


def test_the_names_in_the_package_are_distinct_and_so_are_their_numbers():
    names = list(streams_of_the_package())
    assert len(names) > 40
    assert sorted(set(names)) == sorted(names)
    seeds = tf.stack([Stream(name)(SEED) for name in names])
    draws = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([6], seed), seeds, fn_output_signature=tf.float32
    )
    assert len(np.unique(draws)) == 6 * len(names)


def test_an_index_and_a_seed_tell_draws_of_one_name_apart():
    stream = Stream("test")
    seeds = [SEED, SEED + [0, 1], SEED + [1, 0], stream(SEED)]
    found = {tuple(stream(seed, index).numpy()) for seed in seeds for index in range(3)}
    assert len(found) == 12
    np.testing.assert_array_equal(stream(SEED), Stream("test")(SEED, 0))
    np.testing.assert_array_equal(stream.uniform(SEED, [3]), stream.uniform(SEED, [3]))


def test_a_stream_is_the_same_in_a_pipeline():
    numbers = tf.data.Dataset.range(3).map(
        lambda number: Stream("test").uniform(example_seed(5, number), [2], -1.0, 1.0)
    )
    for number, piped in enumerate(numbers):
        seed = tf.constant([5, number], tf.int64)
        np.testing.assert_array_equal(piped, Stream("test").uniform(seed, [2], -1.0, 1.0))


@pytest.fixture
def seeds_drawn_from(monkeypatch):
    """The seeds of all draws that are made during the test, in order."""
    drawn = []

    def recorded(function, position):
        def record(*arguments, **options):
            drawn.append(tuple(np.array(arguments[position])))
            return function(*arguments, **options)

        return record

    for name in ("stateless_uniform", "stateless_normal", "stateless_gamma"):
        monkeypatch.setattr(tf.random, name, recorded(getattr(tf.random, name), 1))
    shuffle = tf.random.experimental.stateless_shuffle
    monkeypatch.setattr(tf.random.experimental, "stateless_shuffle", recorded(shuffle, 1))
    return drawn


def picture():
    """A grey image with a disc for a lesion, and its mask."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = (np.hypot(rows - 16, columns - 15) < 6).astype(np.float32)[..., None]
    return tf.constant(0.8 - 0.4 * np.repeat(mask, 3, -1)), tf.constant(mask)


def segmenter_view():
    image, mask = picture()
    moved = geometric.augment(image, mask, SIZE, GeometricAugmentation(), SEED)
    photometric.augment(moved[..., :3], moved[..., 3:], EVERYTHING, SEED)


def detector_square():
    image, _ = picture()
    covered = occlusions.paint_occlusions.python_function(image, SEED)[1]
    occlusions._detected(covered, SEED)


def classifier_batch():
    image = tf.cast(255.0 * picture()[0], tf.uint8)
    strong = CLASSIFIER_PRESETS["strong"]
    shown = view(image, draw(strong, SEED), strong, SIZE)
    mixing.mix(tf.stack([shown] * 4), [0, 1, 0, 1], 2, mixup=0.4, cutmix=1.0, seed=SEED)


@pytest.mark.parametrize(
    ("example", "least"), [(segmenter_view, 35), (detector_square, 12), (classifier_batch, 9)]
)
def test_no_two_draws_of_an_example_share_a_seed(seeds_drawn_from, example, least):
    example()
    assert len(seeds_drawn_from) >= least
    assert len(set(seeds_drawn_from)) == len(seeds_drawn_from)


def test_hairs_and_rulers_have_colours_of_their_own():
    white, mask = tf.ones([64, 64, 3]), tf.zeros([64, 64, 1])
    pairs = []
    for number in range(12):
        seed = tf.constant([1, number], tf.int64)
        hair, ruler = (
            overlay(white, mask, seed)[0].numpy().reshape(-1, 3).min(0)
            for overlay in (overlays.hairs, overlays.ruler)
        )
        if max(hair.max(), ruler.max()) < 0.5:  # Both are in the image, and the hair is dark.
            pairs.append(((hair - 0.02) / 0.33, (1.0 - (1.0 - ruler) / 0.8) / 0.35))
    assert len(pairs) > 4
    assert min(np.abs(hair - ruler).max() for hair, ruler in pairs) > 0.02
