"""Phantoms show what they claim to show, and their truth is exact."""

import csv
import re
from collections import Counter

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import TAXONOMIES
from melanoma_tf.phantoms import (
    OCCLUSIONS,
    PHANTOM_CLASSES,
    PhantomSettings,
    draw_phantom,
    write_phantoms,
)
from melanoma_tf.phantoms import folder as phantom_folder

NOTHING = dict.fromkeys((*OCCLUSIONS, "dark_corners"), 0.0)


def settings(size_px=64, **fractions):
    return PhantomSettings(size_px=size_px, **{**NOTHING, **fractions})


def everything(size_px=64):
    return settings(size_px, **dict.fromkeys((*OCCLUSIONS, "dark_corners"), 1.0))


def test_every_class_of_the_challenges_of_2017_and_2018_can_be_drawn():
    named = {name for task in ("isic2017", "isic2018") for name in TAXONOMIES[task].classes}
    assert set(PHANTOM_CLASSES) == named


@pytest.mark.parametrize("class_name", PHANTOM_CLASSES)
@pytest.mark.parametrize("size_px", [16, (32, 48), (96, 64), 130, (16, 128)])
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
def test_the_lesion_is_one_piece_inside_the_frame_and_darker_than_the_skin(class_name):
    for seed in range(6):
        phantom = draw_phantom(class_name, seed, settings((128, 160)))
        mask = phantom.lesion_mask
        frame = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not frame.any(), "the lesion leaves the frame"
        assert cv2.connectedComponents(mask)[0] == 2, "expected the skin and one lesion"
        assert cv2.connectedComponents(255 - mask)[0] == 2, "the lesion has holes"
        assert 0.02 < (mask > 0).mean() < 0.6
        inside, outside = phantom.clean[mask > 0], phantom.clean[mask == 0]
        assert inside.mean() < outside.mean() - 8, "the mask does not mark the darker part"


def test_the_same_seed_gives_the_same_pixels_and_another_one_does_not():
    first, again, other = (draw_phantom("nevus", seed, everything()) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.occlusion_mask, again.occlusion_mask)
    assert (first.image != other.image).mean() > 0.5


@pytest.mark.parametrize("class_name", PHANTOM_CLASSES)
def test_one_seed_shows_one_scene_at_every_size(class_name):
    large = draw_phantom(class_name, 11, everything((256, 384)))
    small = draw_phantom(class_name, 11, everything((64, 96)))
    reduced = cv2.resize(large.image, (96, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small.image).mean() < 6
    mask = cv2.resize(large.lesion_mask, (96, 64), interpolation=cv2.INTER_AREA) > 127
    both = mask & (small.lesion_mask > 0)
    either = mask | (small.lesion_mask > 0)
    assert both.sum() / either.sum() > 0.9


def test_occlusions_leave_the_clean_picture_alone():
    bare, covered = draw_phantom("melanoma", 8, settings()), draw_phantom("melanoma", 8, settings(
        hairs=1.0, ruler=1.0, ink=1.0, bubbles=1.0))  # fmt: skip
    np.testing.assert_array_equal(bare.clean, covered.clean)
    np.testing.assert_array_equal(bare.image, bare.clean)
    np.testing.assert_array_equal(bare.lesion_mask, covered.lesion_mask)
    assert bare.occlusions == ()
    assert not bare.occlusion_mask.any()


@pytest.mark.parametrize("dark_corners", [0.0, 1.0])
@pytest.mark.parametrize("occlusion", OCCLUSIONS)
def test_each_occlusion_alone_covers_a_part_of_the_picture(occlusion, dark_corners):
    for seed in range(8):
        fractions = {occlusion: 1.0, "dark_corners": dark_corners}
        phantom = draw_phantom("nevus", seed, settings((32, 48), **fractions))
        assert phantom.occlusions == (occlusion,)
        assert 0 < (phantom.occlusion_mask > 0).mean() < 0.85


def test_ink_is_bluer_than_what_it_covers_and_stays_beside_the_lesion():
    for seed in range(5):
        phantom = draw_phantom("nevus", seed, settings(128, ink=1.0))
        covered = phantom.occlusion_mask > 0
        image, clean = phantom.image[covered].astype(int), phantom.clean[covered].astype(int)
        assert (image[:, 2] - image[:, 0]).mean() > (clean[:, 2] - clean[:, 0]).mean() + 10
        assert (phantom.lesion_mask[covered] > 0).mean() < 0.2


def test_hairs_are_thin():
    for seed in range(5):
        mask = draw_phantom("nevus", seed, settings(256, hairs=1.0)).occlusion_mask
        # Half the width of the covered band, where a single hair lies.
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        assert np.median(depth[mask > 0]) < 4


def test_dark_corners_are_dark_and_the_centre_is_not():
    with_corners = draw_phantom("nevus", 2, settings(64, dark_corners=1.0)).clean
    without = draw_phantom("nevus", 2, settings(64)).clean
    assert with_corners[:4, :4].mean() < 20
    assert without[:4, :4].mean() > 60
    assert with_corners[28:36, 28:36].mean() > 20


def test_fractions_are_frequencies():
    half = settings(16, hairs=0.5, bubbles=0.25)
    seen = Counter(o for seed in range(120) for o in draw_phantom("nevus", seed, half).occlusions)
    # Four standard deviations of the binomial distribution.
    assert abs(seen["hairs"] - 60) < 22
    assert abs(seen["bubbles"] - 30) < 19
    assert seen["ink"] == seen["ruler"] == 0


def structure(phantom):
    """Border and texture of a lesion, in numbers that a shift of its colour leaves alone."""
    mask = phantom.lesion_mask
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    lightness = cv2.cvtColor(phantom.clean, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
    fine = lightness - cv2.GaussianBlur(lightness, (0, 0), 2.5)
    inner = fine[cv2.erode(mask, np.ones((7, 7))) > 0]
    spread = inner.std() + 1e-6
    return [
        cv2.contourArea(contour) / cv2.contourArea(cv2.convexHull(contour)),
        lightness[mask > 0].std(),
        spread,
        (inner**3).mean() / spread**3,
        np.percentile(inner, 99) / spread,
    ]


def test_structure_tells_the_class_and_mean_colour_does_not():
    colours, structures, labels = [], [], []
    for label, name in enumerate(TAXONOMIES["isic2017"].classes):
        for seed in range(70):
            phantom = draw_phantom(name, 1000 * label + seed, settings(96))
            colours.append(phantom.clean[phantom.lesion_mask > 0].mean(axis=0))
            structures.append(structure(phantom))
            labels.append(label)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    by_colour = cross_val_score(model, np.array(colours), labels, cv=5).mean()
    by_structure = cross_val_score(model, np.array(structures), labels, cv=5).mean()
    assert by_colour < 0.58, "mean colour gives the class away (chance is 0.33)"
    assert by_structure > 0.85


@pytest.mark.parametrize(
    "size_px", [15, 4097, 0, (16, 129), -64, (64,), (64, 64, 3), (64, 15), 64.5, (64, 65.5), "64"]
)
def test_bad_sizes_are_refused(size_px):
    with pytest.raises(MelanomaError, match=r"expected a phantom's size_px .* found"):
        PhantomSettings(size_px=size_px)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_bad_fractions_are_refused(fraction):
    with pytest.raises(MelanomaError, match=r"fraction of hairs within \[0, 1\]; found"):
        PhantomSettings(hairs=fraction)


def test_unknown_classes_and_negative_seeds_are_refused():
    with pytest.raises(MelanomaError, match=r"class out of melanoma, .*; found 'wart'"):
        draw_phantom("wart", 0)
    with pytest.raises(MelanomaError, match="seed of 0 or larger; found -1"):
        draw_phantom("nevus", -1)


def test_the_folder_has_the_layout_of_isic_2017(tmp_path, real_data):
    folder = write_phantoms(tmp_path / "isic", 7, settings=settings(32), seed=4)
    official = real_data / "isic2017"
    labels = "ISIC-2017_Training_Part3_GroundTruth.csv"
    assert sorted(p.name for p in folder.glob("[!.]*")) == sorted(
        p.name for p in official.iterdir()
    )
    written = (folder / labels).read_bytes().splitlines(keepends=True)
    real = (official / labels).read_bytes().splitlines(keepends=True)
    assert written[0] == real[0]
    shape = re.compile(rb"(PHANTOM|ISIC)_\d{7},[01]\.0,[01]\.0\r\n")
    assert shape.fullmatch(real[1])
    assert len(written) == 8
    assert all(shape.fullmatch(line) for line in written[1:])
    keys = [line.split(b",")[0].decode() for line in written[1:]]
    images = sorted(p.name for p in (folder / "ISIC-2017_Training_Data").iterdir())
    masks = sorted(p.name for p in (folder / "ISIC-2017_Training_Part1_GroundTruth").iterdir())
    assert images == [f"{key}.jpg" for key in keys]
    assert masks == [f"{key}_segmentation.png" for key in keys]
    for name in masks:
        mask = cv2.imread(
            str(folder / "ISIC-2017_Training_Part1_GroundTruth" / name), cv2.IMREAD_UNCHANGED
        )
        assert mask.shape == (32, 32)
        assert set(np.unique(mask)) == {0, 255}


def read_rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_class_fractions_are_met_exactly(tmp_path):
    fractions = {"melanoma": 2, "nevus": 1, "seborrheic_keratosis": 1}
    folder = write_phantoms(tmp_path / "a", 8, settings=settings(16), class_fractions=fractions)
    rows = read_rows(folder / "ISIC-2017_Training_Part3_GroundTruth.csv")
    assert sum(row["melanoma"] == "1.0" for row in rows) == 4
    assert sum(row["seborrheic_keratosis"] == "1.0" for row in rows) == 2
    assert not any(row["melanoma"] == row["seborrheic_keratosis"] == "1.0" for row in rows)


def test_isic_2018_labels_name_one_class_per_image(tmp_path, real_data):
    folder = write_phantoms(tmp_path / "a", 14, settings=settings(16), taxonomy="isic2018")
    name = "ISIC2018_Task3_Training_GroundTruth"
    rows = read_rows(folder / name / f"{name}.csv")
    assert set(rows[0]) == set(read_rows(real_data / "labels" / f"{name}.csv")[0])
    counts = Counter(c for row in rows for c, value in row.items() if value == "1.0")
    assert counts == dict.fromkeys(("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"), 2)


def test_the_same_seed_writes_the_same_files_and_the_truth_where_asked(tmp_path):
    first, again = (
        write_phantoms(tmp_path / name, 3, settings=everything(32), seed=9, truth=True)
        for name in ("a", "b")
    )
    files = sorted(p.relative_to(first) for p in first.rglob("[!.]*") if p.is_file())
    assert len(files) == 3 * 4 + 1
    for file in files:
        assert (first / file).read_bytes() == (again / file).read_bytes()
    clean = cv2.imread(str(first / "Phantom_Clean" / "PHANTOM_0000000.png"))
    image = cv2.imread(str(first / "ISIC-2017_Training_Data" / "PHANTOM_0000000.jpg"))
    covered = cv2.imread(str(first / "Phantom_Occlusion_Masks" / "PHANTOM_0000000.png"), -1) > 0
    change = np.abs(clean.astype(int) - image).max(axis=2)
    # JPEG blurs the edge of a mask, but far from it the two pictures agree.
    far = cv2.erode((~covered).astype(np.uint8), np.ones((5, 5))) > 0
    assert change[covered].mean() > 3 * change[far].mean() if far.any() else covered.all()


def test_nothing_is_overwritten_unless_asked(tmp_path):
    folder = write_phantoms(tmp_path / "a", 2, settings=settings(16))
    with pytest.raises(MelanomaError, match="exists"):
        write_phantoms(folder, 3, settings=settings(16))
    assert len(list((folder / "ISIC-2017_Training_Data").iterdir())) == 2
    write_phantoms(folder, 3, settings=settings(16), overwrite=True)
    assert len(list((folder / "ISIC-2017_Training_Data").iterdir())) == 3


def test_writing_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    drawn = []

    def failing(*arguments):
        drawn.append(arguments)
        if len(drawn) == 2:
            raise OSError("disk full")
        return draw_phantom(*arguments)

    monkeypatch.setattr(phantom_folder, "draw_phantom", failing)
    with pytest.raises(OSError, match="disk full"):
        write_phantoms(tmp_path / "a", 3, settings=settings(16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (0, {}, "count of phantoms from 1 to 10000000; found 0"),
        (2, {"taxonomy": "isic1999"}, "taxonomy"),
        (2, {"class_fractions": {"wart": 1}}, "found wart"),
        (2, {"class_fractions": {"nevus": 0}}, "positive sum"),
        (2, {"class_fractions": {"nevus": -1, "melanoma": 3}}, "fractions of 0 or more"),
        (2, {"class_fractions": {"nevus": float("nan")}}, "fractions of 0 or more"),
        (2, {"seed": -1}, "seed of 0 or larger"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, count, options, message):
    with pytest.raises(MelanomaError, match=message):
        write_phantoms(tmp_path / "a", count, settings=settings(16), **options)
    assert list(tmp_path.iterdir()) == []
