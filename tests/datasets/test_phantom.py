"""Phantoms show what they claim to show, and their truth is exact."""

import numpy as np
import pytest

from melanoma_tf.datasets.lesion import TAXONOMIES
from melanoma_tf.datasets.phantom import (
    OCCLUSIONS,
    PHANTOM_CLASSES,
    PhantomSettings,
    draw_phantom,
    write_phantoms,
)
from melanoma_tf.errors import MelanomaError

NOTHING = dict.fromkeys((*OCCLUSIONS, "dark_corners"), 0.0)


def settings(size_px=64, **shares):
    return PhantomSettings(size_px=size_px, **{**NOTHING, **shares})


def everything(size_px=64):
    return settings(size_px, **dict.fromkeys((*OCCLUSIONS, "dark_corners"), 1.0))


def test_every_class_of_the_challenges_of_2017_and_2018_can_be_drawn():
    named = {name for task in ("isic2017", "isic2018") for name in TAXONOMIES[task].classes}
    assert set(PHANTOM_CLASSES) == named


@pytest.mark.parametrize("class_name", PHANTOM_CLASSES)
@pytest.mark.parametrize("size_px", [16, (32, 48), (96, 64), 130])
def test_shapes_types_and_exact_truth(class_name, size_px):
    phantom = draw_phantom(class_name, 3, everything(size_px))
    height, width = size_px if isinstance(size_px, tuple) else (size_px, size_px)
    for picture in (phantom.image, phantom.clean):
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
    for mask in (phantom.lesion_mask, phantom.occlusion_mask):
        assert mask.shape == (height, width)
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
    assert phantom.class_name == class_name
    assert phantom.occlusions == tuple(sorted(OCCLUSIONS))
    outside = phantom.occlusion_mask == 0
    np.testing.assert_array_equal(phantom.image[outside], phantom.clean[outside])
    changed = (phantom.image != phantom.clean).any(axis=2)
    np.testing.assert_array_equal(changed, ~outside)


@pytest.mark.parametrize("class_name", PHANTOM_CLASSES)
def test_the_lesion_is_one_piece_inside_the_frame_and_differs_from_the_skin(class_name):
    for seed in range(6):
        phantom = draw_phantom(class_name, seed, settings((48, 64)))
        mask = phantom.lesion_mask
        frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not frame.any(), "the lesion leaves the frame"
        assert 0.02 < (mask > 0).mean() < 0.6
        inside, outside = phantom.clean[mask > 0], phantom.clean[mask == 0]
        assert inside.mean() < outside.mean() - 8, "the mask does not mark the darker part"


def test_a_taxonomy_without_a_layout_of_phantoms_is_refused(tmp_path):
    with pytest.raises(MelanomaError, match="expected a taxonomy out of isic2017, isic2018"):
        write_phantoms(tmp_path / "phantoms", 1, taxonomy="isic2019")
