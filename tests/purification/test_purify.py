"""Purification with a filling of one's own: what is replaced, and that nothing else is."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.purifier import masked_purifier
from melanoma_tf.purification.purify import Networks, purify, purify_by

GREEN = (0.0, 1.0, 0.0)


def in_green(images, holes):
    """Fills with green, and tampers with everything else, which must not come through."""
    return tf.where(holes > 0.5, tf.constant(GREEN), 0.5 * images)


def never(images, holes):
    raise AssertionError("nothing is to be filled")


def hairy(height=96, width=128):
    rng = np.random.default_rng(0)
    image = 200 + cv2.GaussianBlur(rng.normal(0, 12, (height, width, 3)), (0, 0), 2)
    cv2.line(image, (0, height // 3), (width, height // 2), (40, 30, 25), 2, cv2.LINE_AA)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(96, 128), (700, 900)])
def test_only_what_the_mask_shows_is_replaced(size):
    image = hairy(*size)
    purified, mask = (part.numpy() for part in purify_by(in_green, image))
    assert mask.shape == (*size, 1)
    assert set(np.unique(mask)) == {0, 255}
    replaced = mask[..., 0] > 0
    np.testing.assert_array_equal(purified[~replaced], image[~replaced])
    found = purify(image)[1].numpy()[..., 0] > 0
    assert (found & ~replaced).sum() == 0
    assert replaced.sum() < 6 * found.sum()
    core = cv2.erode(replaced.astype(np.uint8), np.ones((7, 7))) > 0 if size[0] > 512 else found
    np.testing.assert_array_equal(purified[core], np.array([[0, 255, 0]] * core.sum()))


@pytest.mark.parametrize("size", [(40, 50), (30, 700)])
def test_a_given_mask_is_replaced_and_nothing_else(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = np.zeros(size, np.uint8)
    mask[5:9, 7:30] = 255
    mask[20, 20] = 1
    purified, replaced = (part.numpy() for part in purify_by(in_green, image, occlusion_masks=mask))
    np.testing.assert_array_equal(replaced[..., 0] > 0, mask > 0)
    np.testing.assert_array_equal(purified[mask == 0], image[mask == 0])
    if max(size) <= 512:
        np.testing.assert_array_equal(
            purified[mask > 0], np.array([[0, 255, 0]] * (mask > 0).sum())
        )


def test_floats_outside_the_mask_stay_bit_for_bit():
    image = np.random.default_rng(2).uniform(0, 1, (2, 20, 30, 3)).astype(np.float32)
    mask = np.zeros((2, 20, 30, 1), bool)
    mask[1, 4:8, 4:8] = True
    purified, _ = purify_by(in_green, image, occlusion_masks=mask)
    np.testing.assert_array_equal(purified[0], image[0])
    np.testing.assert_array_equal(purified.numpy()[~mask[..., 0]], image[~mask[..., 0]])


def test_an_empty_mask_leaves_the_image_untouched_and_asks_for_no_filling():
    image = hairy()
    empty = np.zeros(image.shape[:2], np.uint8)
    traced = tf.function(lambda one, mask: purify_by(in_green, one, occlusion_masks=mask))
    for apply in (traced, lambda one, mask: purify_by(never, one, occlusion_masks=mask)):
        purified, replaced = apply(image, empty)
        np.testing.assert_array_equal(purified, image)
        assert not replaced.numpy().any()


def test_a_mask_that_leaves_no_whole_pixel_at_the_working_size_leaves_the_image():
    """Else the filling would know nothing, and be mush."""
    image = hairy(1024, 1024)
    mask = np.full(image.shape[:2], 255, np.uint8)
    mask[::7, ::7] = 0
    purified, replaced = purify_by(in_green, image, occlusion_masks=mask)
    np.testing.assert_array_equal(purified, image)
    assert not replaced.numpy().any()
    with pytest.raises(MelanomaError, match="nearly all of the image"):
        masked_purifier(Networks(in_green))(image, mask)


def test_a_full_mask_is_an_error_and_in_a_graph_leaves_the_image():
    image = hairy()
    full = np.full(image.shape[:2], 255, np.uint8)
    with pytest.raises(MelanomaError, match="covers the whole image"):
        purify_by(in_green, image, occlusion_masks=full)
    traced = tf.function(lambda one, mask: purify_by(in_green, one, occlusion_masks=mask))
    np.testing.assert_array_equal(traced(image, full)[0], image)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(MelanomaError, match=r"occlusion masks of shape \(96, 128, 1\)"):
        purify_by(in_green, hairy(), occlusion_masks=np.ones((95, 128), np.uint8))


def test_in_a_pipeline_it_does_what_it_does_eagerly():
    images = np.stack([hairy(), np.full((96, 128, 3), 180, np.uint8)])
    dataset = tf.data.Dataset.from_tensor_slices(images)
    piped = list(dataset.map(lambda image: purify_by(in_green, image)[0]))
    batch, _ = purify_by(in_green, images)
    for one, other in zip(piped, batch):
        np.testing.assert_array_equal(one, other)
    nothing, masks = purify_by(never, images[:0])
    assert nothing.shape == (0, 96, 128, 3)
    assert masks.shape == (0, 96, 128, 1)


@pytest.mark.parametrize("size", [(96, 128), (700, 900)])
def test_what_is_replaced_is_what_a_detector_of_ones_own_finds_and_a_pixel_around(size):
    sizes = []

    def four_rows(images):
        sizes.append(tuple(images.shape[1:3]))
        rows = tf.range(tf.shape(images)[1])[tf.newaxis, :, tf.newaxis, tf.newaxis]
        return tf.cast((rows >= 48) & (rows < 52), tf.float32) * tf.ones_like(images[..., :1])

    image = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    purified, mask = (part.numpy() for part in purify_by(in_green, image, find=four_rows))
    assert max(sizes[0]) == 512
    replaced = mask[..., 0] > 0
    np.testing.assert_array_equal(purified[~replaced], image[~replaced])
    scale = max(size) / 512
    rows = np.flatnonzero(replaced.all(1))
    assert replaced.any(1).sum() == len(rows)
    # Those of the working size, and one of the size that is filled at on both sides.
    margin = max(1.0, scale)
    assert rows[0] == pytest.approx(48 * scale - margin, abs=margin)
    assert rows[-1] + 1 == pytest.approx(52 * scale + margin, abs=margin)
