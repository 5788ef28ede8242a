"""Sheets of images by hand: where each tile lies, and that white is all around."""

import cv2
import numpy as np
import pytest

from melanoma_tf.core import image_sheets as sheets


def flat(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_images_are_joined_with_gaps_and_smaller_ones_extended():
    row = sheets.side_by_side([flat(4, 3, 10), flat(2, 5, 20)], gap_px=2)
    expected = flat(4, 10, 255)
    expected[:, :3] = 10
    expected[:2, 5:] = 20
    np.testing.assert_array_equal(row, expected)
    column = sheets.stack([flat(3, 4, 10), flat(5, 2, 20)], gap_px=2)
    np.testing.assert_array_equal(column, expected.transpose(1, 0, 2))
    np.testing.assert_array_equal(sheets.stack([flat(3, 4, 10)], gap_px=9), flat(3, 4, 10))


def test_margins_are_white():
    found = sheets.add_margins(flat(2, 3, 0), top=1, right=2, bottom=3, left=4)
    expected = flat(6, 9, 255)
    expected[1:3, 4:7] = 0
    np.testing.assert_array_equal(found, expected)


def test_a_caption_has_its_text_within_its_strip():
    strip = sheets.caption("nevus 0.93", 120, height_px=22, left_px=4)
    assert strip.shape == (22, 120, 3)
    dark = (strip < 128).all(-1)
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    assert dark.sum() > 50
    assert rows.min() > 2
    assert rows.max() < 18
    assert 4 <= columns.min() < 8
    assert sheets.caption("a text that is far too long", 10).shape == (20, 10, 3)


@pytest.mark.parametrize(
    ("shape", "expected"), [((40, 60), (20, 30)), ((10, 5), (30, 15)), ((1, 400), (1, 30))]
)
def test_fitting_keeps_the_aspect(shape, expected):
    assert sheets.fit(flat(*shape, 7), 30).shape == (*expected, 3)


def test_files_hold_red_as_red():
    red = flat(8, 8, 0)
    red[..., 0] = 200
    for encoded, tolerance in (
        (sheets.encode_png(red), 0),
        (sheets.encode_png(red, compression=9), 0),
        (sheets.encode_jpeg(red, quality=92), 3),
    ):
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_allclose(pixels, red, atol=tolerance)
    assert sheets.encode_png(red)[1:4] == b"PNG"
