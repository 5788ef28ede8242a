"""The symmetries of the square, against NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images.views import VIEWS, dihedral_views


def test_eight_views_are_all_turns_of_the_image_and_of_its_mirror_image():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    expected = {
        np.rot90(mirrored, turns, axes=(1, 2)).tobytes()
        for mirrored in (images, images[:, :, ::-1])
        for turns in range(4)
    }
    views = [view.numpy() for view in tf.function(dihedral_views)(images, 8)]
    assert len(expected) == len(views) == 8
    assert {view.tobytes() for view in views} == expected
    for count in VIEWS:
        for few, view in zip(dihedral_views(images, count), views):
            np.testing.assert_array_equal(few, view)
    np.testing.assert_array_equal(views[0], images)
    np.testing.assert_array_equal(views[1], images[:, :, ::-1])
    np.testing.assert_array_equal(views[3], np.rot90(images, 2, axes=(1, 2)))


def test_another_number_of_views_is_refused():
    with pytest.raises(MelanomaError, match="expected 1, 2, 4 or 8 views of an image; found 3"):
        dihedral_views(tf.zeros([1, 4, 4, 3]), 3)
