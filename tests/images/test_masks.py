"""Hole filling and largest piece against SciPy; the way to the network's square and back."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from melanoma_tf.images import masks

SHAPE = (3, 13, 17)
random_masks = st.one_of(
    hnp.arrays(bool, SHAPE),
    # Sparse and dense noise has more holes and longer windings than even noise.
    st.tuples(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9)).map(
        lambda drawn: np.random.default_rng(drawn[0]).random(SHAPE) < drawn[1]
    ),
)
fill = tf.function(masks.fill_holes, reduce_retracing=True)
largest = tf.function(masks.largest_component, reduce_retracing=True)


@given(random_masks)
def test_holes_are_filled_as_scipy_fills_them(found):
    expected = np.stack([ndimage.binary_fill_holes(mask) for mask in found])
    np.testing.assert_array_equal(fill(found[..., None])[..., 0], expected)


def test_a_spiral_of_background_is_no_hole_until_its_mouth_is_closed():
    spiral = np.ones((1, 21, 21, 1), bool)
    row, column, step = 0, 1, (1, 0)
    spiral[0, row, column] = False
    for length in (19, 18, 17, 16, 15, 14, 13, 12, 11, 10):
        for _ in range(length):
            row, column = row + step[0], column + step[1]
            spiral[0, row, column] = False
        step = (-step[1], step[0])
    np.testing.assert_array_equal(fill(spiral), spiral)
    spiral[0, 0, 1] = True
    assert fill(spiral).numpy().all()


@given(random_masks)
def test_the_largest_piece_is_a_largest_one_of_scipys(found):
    kept = largest(found[..., None]).numpy()[..., 0]
    for mask, piece in zip(found, kept):
        labels, _ = ndimage.label(mask)
        if not mask.any():
            assert not piece.any()
            continue
        chosen = np.unique(labels[piece])
        assert len(chosen) == 1
        np.testing.assert_array_equal(piece, labels == chosen[0])
        assert piece.sum() == np.bincount(labels.ravel())[1:].max()


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_stay(value):
    mask = np.full((1, 5, 6, 1), value)
    np.testing.assert_array_equal(fill(mask), mask)
    np.testing.assert_array_equal(largest(mask), mask)


def test_finish_raises_holes_and_lowers_lesser_pieces_and_nothing_else():
    probability = np.zeros((1, 9, 12, 1), np.float32)
    probability[0, 1:6, 1:6] = 0.7
    probability[0, 3, 3] = 0.2
    probability[0, 7, 9:11] = 0.9
    expected = probability.copy()
    expected[0, 3, 3] = 1.0
    np.testing.assert_array_equal(masks.finish(probability, 0.4), expected)
    expected[0, 7, 9:11] = 0.0
    np.testing.assert_array_equal(masks.finish(probability, 0.4, largest_only=True), expected)


def test_a_disc_comes_back_from_the_square_at_its_place():
    rows, columns = np.mgrid[:90, :160]
    disc = ((rows - 30) ** 2 + (columns - 110) ** 2 < 20**2).astype(np.float32)
    image = np.repeat(255 * disc[..., None], 3, -1)
    small = masks.squeeze(image, 64)[..., :1] / 255.0
    assert small.shape == (64, 64, 1)
    back = masks.restore(small, 90, 160).numpy()[..., 0] > 0.5
    assert (back & (disc > 0)).sum() / (back | (disc > 0)).sum() > 0.95


def test_an_outline_is_the_masks_pixels_beside_the_outside():
    mask = np.zeros((1, 9, 9, 1), bool)
    mask[0, 2:7, 0:6] = True
    image = np.zeros((1, 9, 9, 3), np.uint8)
    drawn = masks.draw_outline(image, mask, (255, 9, 0)).numpy()
    line = (drawn == [255, 9, 0]).all(-1)[0]
    inner = ndimage.binary_erosion(mask[0, ..., 0], np.ones((3, 3)))
    np.testing.assert_array_equal(line, mask[0, ..., 0] & ~inner)
    assert (drawn[0][~line] == 0).all()


def test_round_holes_are_those_of_rings_and_not_of_polygons():
    canvas = np.zeros((120, 200), np.uint8)
    cv2.circle(canvas, (30, 30), 12, 255, 2)
    cv2.circle(canvas, (80, 40), 30, 255, 2)
    cv2.polylines(canvas, [np.array([[120, 10], [160, 10], [140, 45]])], True, 255, 2)
    cv2.rectangle(canvas, (120, 60), (140, 80), 255, 2)
    cv2.ellipse(canvas, (30, 90), (10, 10), 0, 0, 300, 255, 2)
    expected = np.zeros_like(canvas)
    cv2.circle(expected, (30, 30), 10, 255, -1)
    drawings = np.stack([canvas, np.zeros_like(canvas), np.full_like(canvas, 255)]) > 0
    found = masks.round_holes(tf.constant(drawings[..., None]), 20.0, 0.7).numpy()[..., 0]
    assert not found[1:].any()
    assert jaccard(found[0], expected > 0) > 0.9
    both = masks.round_holes(tf.constant(drawings[..., None]), 40.0, 0.7).numpy()[0, ..., 0]
    assert (both & ~found[0]).sum() == pytest.approx(np.pi * 28.5**2, rel=0.1)


def jaccard(one, other):
    return (one & other).sum() / (one | other).sum()
