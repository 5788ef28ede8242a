"""Finding of dark discs by a network that is known: it calls dark what is dark."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.segmentation.settings import InferenceSettings

PLAIN = InferenceSettings(
    0.5, adaptive_threshold=False, flips=False, refine=False, largest_only=False
)


@pytest.fixture(scope="module")
def darkness():
    """Probability of lesion = 1 where black, 0 where white."""
    images = keras.Input((64, 64, 3))
    return keras.Model(images, 1.0 - tf.reduce_mean(images, -1, keepdims=True) / 255.0)


def plain(**changes):
    return dataclasses.replace(PLAIN, **changes)


def photo(height=300, width=400, centre=(140, 170), radius=40):
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - centre[0], columns - centre[1]) < radius
    image = np.where(disc[..., None], 20, 235).astype(np.uint8).repeat(3, -1)
    return image, disc


def jaccard(mask, truth):
    return ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum()


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("flips", [False, True])
def test_a_disc_is_found_at_its_place_and_size(darkness, refine, flips):
    image, disc = photo()
    mask = LesionSegmenter(darkness, plain(flips=flips, refine=refine)).mask(image).numpy()
    assert mask.shape == disc.shape
    assert set(np.unique(mask)) == {0, 255}
    assert jaccard(mask, disc) > 0.93


def test_a_refinement_pass_outlines_small_lesions_better(darkness):
    image, disc = photo(radius=17, centre=(51, 333))
    once, twice = (
        jaccard(
            LesionSegmenter(darkness, plain(refine=refine)).mask(image).numpy(),
            disc,
        )
        for refine in (False, True)
    )
    assert once < twice
    assert twice > 0.9


def test_holes_are_filled_and_lesser_pieces_dropped(darkness):
    image, disc = photo()
    image[130:150, 160:180] = 235
    image[250:270, 30:50] = 20
    settings = plain(largest_only=True, refine=True)
    assert jaccard(LesionSegmenter(darkness, settings).mask(image).numpy(), disc) > 0.93
    both = LesionSegmenter(darkness, PLAIN).mask(image).numpy()
    assert both[260, 40] == 255
    assert both[140, 170] == 255


@pytest.mark.parametrize("refine", [False, True])
def test_an_all_skin_image_gives_an_empty_mask(darkness, refine):
    image = np.full((80, 90, 3), 235, np.uint8)
    settings = plain(threshold=0.4, refine=refine, adaptive_threshold=refine)
    assert not LesionSegmenter(darkness, settings).mask(image).numpy().any()


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (700, 30)])
def test_images_of_any_size_are_taken(darkness, shape):
    image = np.zeros((*shape, 3), np.uint8)
    segmenter = LesionSegmenter(darkness, plain(threshold=0.4, refine=True, flips=True))
    assert segmenter(image).shape == shape
    assert (segmenter.mask(image).numpy() == 255).all()


def test_with_an_adaptive_threshold_a_lesion_is_found_on_skin_that_is_dark_too(darkness):
    """Skin of 120 is 0.53 to this network: at 0.5, all of the image is lesion."""
    image, disc = photo(radius=30)
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    image = np.clip(np.where(disc[..., None], 40, 120) + noise, 0, 255).astype(np.uint8)
    image = cv2.GaussianBlur(image, (9, 9), 0)
    fixed, adapted = (
        jaccard(LesionSegmenter(darkness, settings).mask(image).numpy(), disc)
        for settings in (PLAIN, plain(refine=True, adaptive_threshold=True))
    )
    assert fixed < 0.2
    assert adapted > 0.85


def test_flips_average_over_mirror_images():
    """A network that sees lesion on the left only then sees half of it everywhere."""
    images = keras.Input((64, 64, 3))
    left = tf.cast(tf.range(64) < 32, tf.float32)[None, None, :, None]
    network = keras.Model(images, tf.zeros_like(images[..., :1]) + left)
    found = LesionSegmenter(network, plain(threshold=0.4, flips=True))(
        np.zeros((64, 64, 3), np.uint8)
    )
    np.testing.assert_allclose(found, 0.5)


def test_inside_a_graph_it_finds_the_same(darkness):
    segmenter = LesionSegmenter(darkness, plain(refine=True))
    image = cv2.GaussianBlur(photo()[0], (9, 9), 0)
    np.testing.assert_allclose(tf.function(segmenter)(image), segmenter(image), atol=1e-6)
