"""Masks as people keep them, written by Pillow: each must mean the lesion that was drawn."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from melanoma_tf.records.decode import read_mask_noted
from melanoma_tf.records.header import UnreadableImageError
from melanoma_tf.records.mask_values import INVERTED, is_inverted, read_values

LESION = np.zeros((40, 60), np.uint8)
LESION[10:30, 15:45] = 1
NONE = LESION * 0


def palette(colours, indices=LESION):
    image = Image.fromarray(indices)
    image.putpalette([value for colour in colours for value in colour])
    return image


def coloured(*channels):
    """Three channels are RGB, four RGBA."""
    return Image.fromarray(np.dstack(channels))


@pytest.mark.parametrize(
    ("image", "note"),
    [
        (Image.fromarray(LESION * 255), ""),
        (Image.fromarray(LESION * 255).convert("1"), ""),
        (Image.fromarray(LESION), "0 and 1,"),
        (Image.fromarray(LESION * 100), "0 and 100,"),
        (Image.fromarray(LESION.astype(np.uint16) * 65535), ""),
        (Image.fromarray(LESION.astype(np.uint16) * 255), ""),
        (Image.fromarray(LESION.astype(np.uint16)), "0 and 1,"),
        (palette([(0, 0, 0), (128, 0, 0)]), "colours"),
        (palette([(0, 0, 0), (255, 255, 255)]), ""),
        (palette([(255, 255, 255), (0, 0, 0)], 1 - LESION), ""),
        (coloured(LESION * 255, NONE, NONE), "colours"),
        (coloured(NONE, NONE, LESION * 64), "colours"),
        (coloured(LESION * 255, LESION * 255, LESION * 255), ""),
        (coloured(NONE, NONE, NONE, LESION * 255), "alpha"),
        (coloured(NONE + 255, NONE + 255, NONE + 255, LESION * 255), "alpha"),
        (coloured(LESION * 255, NONE, NONE, NONE + 255), "colours"),
        (coloured(255 - LESION * 55, NONE, NONE, LESION * 255), "alpha"),
        (Image.merge("LA", [Image.fromarray(NONE), Image.fromarray(LESION * 255)]), "alpha"),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_the_lesion_comes_out(tmp_path, image, note, suffix):
    if (suffix == ".bmp" and image.mode not in ("1", "L", "P", "RGB")) or image.mode == "LA":
        suffix = ".png"
    path = tmp_path / f"mask{suffix}"
    image.save(path)
    mask = read_mask_noted(path)
    np.testing.assert_array_equal(mask.pixels, LESION * 255)
    assert (note in mask.notes[0]) if note else (mask.notes == ())


@pytest.mark.parametrize("top", [255, 65535])
def test_soft_edges_stay_readable(tmp_path, top):
    soft = np.linspace(0, top, 256).astype(np.uint16 if top > 255 else np.uint8)
    path = tmp_path / "mask.png"
    Image.fromarray(np.tile(soft, (40, 1))).save(path)
    mask = read_mask_noted(path)
    np.testing.assert_array_equal(mask.pixels[0] > 0, np.arange(256) > 128)


@pytest.mark.parametrize(
    "values", [LESION + 1, LESION * 2 + np.eye(40, 60, dtype=np.uint8), LESION * 0 + 7]
)
def test_what_would_come_out_empty_is_refused_by_its_values(values):
    with pytest.raises(UnreadableImageError, match="mask without lesion by its values"):
        read_values(values)


def test_grey_with_alpha_in_a_tiff_is_refused(tmp_path):
    image = Image.merge("LA", [Image.fromarray(NONE), Image.fromarray(LESION * 255)])
    image.save(tmp_path / "mask.tif")
    with pytest.raises(UnreadableImageError, match="which the decoder drops"):
        read_mask_noted(tmp_path / "mask.tif")


def test_an_empty_mask_and_one_of_lesion_only():
    assert not read_values(NONE).pixels.any()
    assert read_values(NONE + 255).pixels.all()
    assert read_values(NONE + 1).pixels.all()


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(255 - LESION * 255),
        Image.fromarray(1 - LESION),
        coloured(NONE + 255, 255 - LESION * 255, 255 - LESION * 255),
        palette([(255, 255, 255), (0, 0, 0)]),
    ],
)
def test_a_mask_with_the_lesion_around_the_skin_is_noted(image, tmp_path):
    image.save(tmp_path / "mask.png")
    assert INVERTED in read_mask_noted(tmp_path / "mask.png").notes


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_a_mask_and_its_inverse_are_not_both_noted(lesion):
    assert not (is_inverted(lesion) and is_inverted(~lesion))


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.one_of(
            arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
            st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4])),
        ),
    )
)
def test_any_values_give_a_mask_or_a_refusal(decoded):
    try:
        mask = read_values(decoded)
    except UnreadableImageError:
        return
    assert mask.pixels.shape == decoded.shape[:2]
    assert set(np.unique(mask.pixels)) <= {0, 255}


def test_official_masks_of_every_data_set_need_no_note(real_data):
    for name, pattern in (
        ("isic2017", "*GroundTruth/*_segmentation.png"),
        ("ham10000-small", "*tschandl/*_segmentation.png"),
        ("ph2", "PH2 Dataset images/*/*_lesion/*.bmp"),
    ):
        paths = sorted((real_data / name).glob(pattern))[:20]
        assert len(paths) == 20
        for path in paths:
            content = io.BytesIO(path.read_bytes())
            mask = read_mask_noted(path)
            assert mask.notes == ()
            assert ((mask.pixels > 0) == (np.asarray(Image.open(content).convert("L")) > 128)).all()
