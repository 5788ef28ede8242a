"""Purification as a user meets it: what goes, what stays, what bad input does."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images.colour import rgb_to_lightness
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.purification.classical.opencv import purify_image
from melanoma_tf.purification.purify import purify

SKIN = (224, 178, 160)


def skin(height=192, width=256):
    """Skin with faint texture, uint8."""
    rng = np.random.default_rng(7)
    texture = cv2.GaussianBlur(rng.normal(0, 12, (height, width, 1)), (0, 0), 3)[..., None]
    return np.clip(np.array(SKIN) + texture, 0, 255).astype(np.uint8)


def with_hair(image, colour=(40, 30, 25), width=2):
    """A curved hair from border to border, and its mask."""
    hair = np.zeros(image.shape[:2], np.uint8)
    columns = np.arange(image.shape[1])
    rows = image.shape[0] / 2 + image.shape[0] / 6 * np.sin(columns / image.shape[1] * 3)
    points = np.stack([columns, rows], -1).astype(np.int32)
    cv2.polylines(hair, [points], False, 255, width)
    alpha = cv2.GaussianBlur(hair, (0, 0), 0.5)[..., None] / 255
    return np.rint(image * (1 - alpha) + np.array(colour) * alpha).astype(np.uint8), hair > 0


def psnr(one, other, where):
    return 10 * np.log10(255**2 / np.mean((one[where].astype(float) - other[where]) ** 2))


@pytest.mark.parametrize(
    ("colour", "width"),
    [((40, 30, 25), 1), ((40, 30, 25), 2), ((120, 80, 55), 1), ((252, 248, 238), 1)],
)
def test_a_hair_goes_and_its_colour_with_it(colour, width):
    clean = skin()
    image, hair = with_hair(clean, colour, width)
    purified, mask = purify(image)
    found = mask.numpy()[..., 0] > 0
    assert (found & hair).sum() > 0.9 * hair.sum()
    assert psnr(purified.numpy(), clean, hair) > psnr(image, clean, hair) + 10
    # Chroma as well as lightness: no tinted ghost stays behind.
    assert abs(purified.numpy()[hair].mean(0) - clean[hair].mean(0)).max() < 4


def test_a_hair_that_crosses_the_lesion_goes_and_the_lesion_stays():
    image = skin()
    lesion = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(lesion, (128, 96), (68, 52), 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(lesion, (0, 0), 2)[..., None] / 255
    clean = np.rint(image * (1 - soft) + np.array([140, 85, 60]) * soft).astype(np.uint8)
    occluded, hair = with_hair(clean, (25, 20, 20), width=1)
    for lesion_mask in (None, lesion):
        purified, mask = purify(occluded, lesion_mask)
        within = hair & (lesion > 0)
        assert (mask.numpy()[..., 0] > 0)[within].mean() > 0.9
        away = (lesion > 0) & ~cv2.dilate(hair.astype(np.uint8), np.ones((7, 7))).astype(bool)
        assert psnr(purified.numpy(), clean, within) > 25
        np.testing.assert_array_equal(purified.numpy()[away], clean[away])


def test_bare_skin_and_round_spots_stay_as_they_are():
    image = skin()
    for row, column in ((40, 60), (120, 80), (80, 180), (140, 200)):
        cv2.circle(image, (column, row), 4, (110, 60, 45), -1, cv2.LINE_AA)
    purified, mask = purify(image)
    assert (mask.numpy() == 0).all()
    np.testing.assert_array_equal(purified, image)


def test_the_dark_corners_of_a_dermoscope_are_no_occlusion():
    image = skin()
    rows, columns = np.mgrid[:192, :256]
    radius = np.hypot(rows - 96, columns - 128)
    shade = np.clip((150 - radius) / 12, 0, 1)[..., None]
    _, mask = purify((image * shade).astype(np.uint8))
    assert mask.numpy().mean() < 0.01 * 255


def test_ticks_of_a_ruler_go():
    clean = skin()
    image = clean.copy()
    for index in range(12):
        column = 20 + 18 * index
        cv2.line(image, (column, 160), (column, 168), (20, 20, 20), 1)
    ticks = (image != clean).any(-1)
    purified, mask = purify(image)
    assert (mask.numpy()[..., 0] > 0)[ticks].mean() > 0.8
    assert psnr(purified.numpy(), clean, ticks) > 25


def test_ink_goes_from_the_skin_but_not_from_the_lesion_that_a_mask_names():
    image = skin()
    cv2.circle(image, (200, 40), 4, (70, 50, 160), -1)
    inked = (image != skin()).any(-1)
    assert (purify(image)[1].numpy()[..., 0] > 0)[inked].mean() > 0.8
    everywhere = np.ones(image.shape[:2], bool)
    assert purify(image, everywhere)[1].numpy()[39:42, 199:202].max() == 0


def test_purifying_beats_the_damage_on_phantoms_with_known_truth():
    settings = PhantomSettings(size_px=(192, 256), hairs=1, ruler=0, ink=0, bubbles=0)
    for seed in (3, 4):
        phantom = draw_phantom("melanoma", seed, settings)
        truth = phantom.occlusion_mask > 0
        purified, _ = purify(phantom.image, phantom.lesion_mask)
        before = psnr(phantom.image, phantom.clean, truth)
        assert psnr(purified.numpy(), phantom.clean, truth) > before + 2


def test_small_and_large_versions_of_a_picture_come_out_alike():
    settings = PhantomSettings(size_px=(768, 1024), hairs=1, ruler=0, ink=0, bubbles=0)
    large = draw_phantom("nevus", 1, settings).image
    small = cv2.resize(large, (256, 192), interpolation=cv2.INTER_AREA)
    of_large, large_mask = (tensor.numpy() for tensor in purify(large))
    of_small, small_mask = (tensor.numpy() for tensor in purify(small))
    reduced = cv2.resize(of_large, (256, 192), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(float) - of_small).mean() < 2.0
    one, other = small_mask[..., 0] > 0, cv2.resize(large_mask, (256, 192)) > 127
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.7


def test_a_pipeline_gives_the_eager_result():
    images = np.stack([with_hair(skin())[0], skin()])
    expected, expected_mask = (tensor.numpy() for tensor in purify(images))
    dataset = tf.data.Dataset.from_tensor_slices(images).map(purify)
    assert dataset.element_spec[0].shape.as_list() == [192, 256, 3]
    for index, (purified, mask) in enumerate(dataset):
        # A batch is summed in another order than one image: one level of rounding may differ.
        assert abs(purified.numpy().astype(int) - expected[index]).max() <= 1
        np.testing.assert_array_equal(mask, expected_mask[index])


@pytest.mark.faults  # Writing and reading so large a graph takes long.
def test_a_graph_and_an_exported_model_give_the_eager_result(tmp_path):
    images = np.stack([with_hair(skin())[0], skin()])
    expected, _ = (tensor.numpy() for tensor in purify(images))
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    module = tf.Module()
    module.purify = tf.function(lambda batch: purify(batch), input_signature=signature)
    np.testing.assert_array_equal(module.purify(images)[0], expected)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.purify)
    served = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(served.purify(images)[0], expected)
    registered = set(tf.raw_ops.__dict__)
    used = {op.type for op in module.purify.get_concrete_function().graph.get_operations()}
    assert used <= registered | {"Placeholder", "NoOp"}


def test_floats_keep_their_dtype_and_agree_with_uint8():
    image, _ = with_hair(skin())
    expected = purify(image)[0].numpy() / 255
    for dtype in (np.float16, np.float32, np.float64):
        purified, mask = purify((image / 255).astype(dtype))
        assert purified.dtype == dtype
        assert mask.dtype == tf.uint8
        assert np.abs(purified.numpy() - expected).mean() < 1 / 255


def test_bisla2019_lifts_lightness_and_keeps_the_lesion():
    image, hair = with_hair(skin(300, 400), width=4)
    lesion = np.zeros(image.shape[:2], np.uint8)
    lesion[:, 150:250] = 255
    purified, mask = (tensor.numpy() for tensor in purify(image, lesion, method="bisla2019"))
    on_lesion = lesion > 0
    np.testing.assert_array_equal(purified[on_lesion], image[on_lesion])
    assert mask[on_lesion].max() == 0
    assert (mask[..., 0] > 0)[hair & ~on_lesion].mean() > 0.9
    before, after = (
        rgb_to_lightness(i / np.float32(255)).numpy()[..., 0] for i in (image, purified)
    )
    assert (after >= before - 0.5).all()
    assert after[hair & ~on_lesion].mean() > before[hair & ~on_lesion].mean() + 20


def test_bisla2019_is_scipys_grey_closing_at_its_own_size():
    image, _ = with_hair(skin(300, 400), width=4)
    lightness = rgb_to_lightness(image / np.float32(255)).numpy()[..., 0]
    rows, columns = np.mgrid[-5:6, -5:6]
    disc = rows**2 + columns**2 <= 25
    heights = 5 * np.sqrt(np.maximum(0, 1 - (rows**2 + columns**2) / 25))
    closed = scipy.ndimage.grey_closing(lightness, footprint=disc, structure=heights)
    rose = scipy.ndimage.binary_closing(closed - lightness > 10, np.ones((3, 3)))
    inner = np.s_[8:-8, 8:-8]  # the two treat what lies beyond the border differently
    mask = purify(image, method="bisla2019")[1].numpy()[..., 0] > 0
    np.testing.assert_array_equal(mask[inner], rose[inner])


@pytest.mark.parametrize("method", ["classical", "bisla2019"])
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((40, 60, 3), np.uint8),
        np.full((40, 60, 3), 255, np.uint8),
        np.full((1, 1, 3), 130, np.uint8),
        np.full((40, 60, 3), 0.5, np.float32),
        np.random.default_rng(0).integers(0, 256, (1, 200, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8),
        np.tile(np.uint8([[[20], [200]]]), (32, 32, 3)),
    ],
    ids=["black", "white", "1x1", "grey", "sliver", "noise", "all hair"],
)
def test_degenerate_images_keep_size_and_dtype(image, method):
    purified, mask = purify(image, method=method)
    assert purified.shape == image.shape
    assert purified.dtype == image.dtype
    assert mask.shape == (*image.shape[:2], 1)
    assert np.isfinite(purified.numpy().astype(float)).all()
    if image.std() == 0:
        np.testing.assert_array_equal(purified, image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((8, 8, 4), np.uint8)}, r"RGB images.*\(8, 8, 4\)"),
        ({"images": np.zeros((8, 8, 1), np.uint8)}, r"RGB images.*\(8, 8, 1\)"),
        ({"images": np.zeros((8, 8), np.uint8)}, r"RGB images.*\(8, 8\)"),
        ({"images": np.zeros((0, 8, 3), np.uint8)}, "with pixels"),
        ({"images": np.zeros((8, 8, 3), np.int32)}, "uint8 or floating point.*int32"),
        ({"images": np.full((8, 8, 3), 200.0)}, r"in \[0, 1\].*200"),
        ({"images": np.full((8, 8, 3), np.nan)}, r"in \[0, 1\].*NaN"),
        ({"images": np.zeros((8, 8, 3), np.uint8), "method": "magic"}, "classical, bisla2019"),
        (
            {"images": np.zeros((8, 8, 3), np.uint8), "lesion_masks": np.zeros((4, 4))},
            "lesion masks",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    with pytest.raises(MelanomaError, match=message) as caught:
        purify(**arguments)
    assert "\n" not in str(caught.value)


def test_in_a_graph_wrong_floats_are_clipped_and_nan_counts_as_black():
    image = np.full((40, 40, 3), 0.6, np.float32)
    image[:20], image[0, 0] = 3.0, np.nan
    traced = tf.function(lambda batch: purify(batch, method="bisla2019"))
    purified, _ = traced(image)
    assert np.nanmax(purified) <= 1.0
    assert np.isfinite(purified).all()


def test_an_empty_batch_gives_an_empty_batch():
    purified, mask = purify(np.zeros((0, 16, 16, 3), np.uint8))
    assert purified.shape == (0, 16, 16, 3)
    assert mask.shape == (0, 16, 16, 1)


@pytest.mark.parametrize("name", ["0000095", "0000177", "0000310", "0000527"])
def test_opencv_and_graph_agree_on_real_images(real_data, name):
    path = real_data / "isic2017" / "ISIC-2017_Training_Data" / f"ISIC_{name}.jpg"
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    graph, graph_mask = (tensor.numpy() for tensor in purify(image))
    twin, twin_mask = purify_image(image)
    assert np.abs(graph.astype(float) - twin).mean() <= 1.0
    assert (graph_mask[..., 0] != twin_mask).mean() < 0.01


def test_opencv_agrees_with_the_graph_at_other_sizes_and_with_a_lesion_mask():
    for size in ((96, 128), (300, 400), (1100, 1300)):
        image, _ = with_hair(skin(*size), width=max(1, size[0] // 60))
        lesion = np.zeros(size, np.uint8)
        lesion[size[0] // 3 : size[0] // 2] = 255
        graph, _ = purify(image, lesion)
        twin, twin_mask = purify_image(image, lesion)
        assert twin.shape == image.shape
        assert twin_mask.shape == size
        assert np.abs(graph.numpy().astype(float) - twin).mean() <= 1.0


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3))]
)
def test_opencv_refuses_what_it_cannot_take(image):
    with pytest.raises(MelanomaError, match="expected a uint8 image"):
        purify_image(image)
    with pytest.raises(MelanomaError, match="expected a lesion mask"):
        purify_image(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4)))


def with_ticks(image, contrast, *, angle=0.0, spacing=22.0, missing=()):
    """A row of pale short ticks, 2 pixels wide and 12 long, and where they change the image."""
    covered = np.zeros(image.shape[:2], np.float32)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] - np.array(
        [[[0.5 * image.shape[0]]], [[0.1 * image.shape[1]]]]
    )
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    for number in set(range(16)) - set(missing):
        tick = np.clip(1.5 - abs(along - number * spacing), 0, 1)
        covered = np.maximum(covered, tick * np.clip(6.5 - abs(across), 0, 1))
    changed = image - np.float32(contrast) * covered[..., None]
    return np.rint(changed).astype(np.uint8), covered > 0.5


@pytest.mark.parametrize("angle", [0.0, 0.25])
def test_the_pale_ticks_of_a_ruler_go(angle):
    """Each of them is too faint and too short to be taken for a hair."""
    clean = skin(384, 512)
    image, ticks = with_ticks(clean, 30, angle=angle)
    alone, tick = with_ticks(clean, 30, angle=angle, missing=range(1, 16))
    for run in (purify_image, lambda image: [each.numpy() for each in purify(image)]):
        purified, mask = run(image)
        assert np.mean(mask.reshape(ticks.shape)[ticks] > 0) > 0.85
        assert psnr(purified, clean, ticks) > psnr(image, clean, ticks) + 8
        left = run(alone)[1].reshape(ticks.shape)
        assert np.mean(left[tick] > 0) < 0.2


def test_strokes_at_unequal_distances_are_no_ruler():
    clean = skin(384, 512)
    image, ticks = with_ticks(clean, 30, missing=(2, 5, 8, 11, 14))
    assert np.mean(purify_image(image)[1][ticks] > 0) < 0.1


def with_bubble(image, radius, *, centre=(200, 260), rim=22, highlight=True, arc=360):
    """A pale rim and a highlight, as a bubble in the gel has them, and the disc.

    Without a highlight the skin is darker there, as under a ring of pigment.
    """
    changed = image.astype(np.float32)
    if not highlight:
        spot = cv2.circle(np.zeros(image.shape[:2], np.float32), centre[::-1], 2 * radius, 20, -1)
        changed -= cv2.GaussianBlur(spot, (0, 0), 8)[..., None]
    ring = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(ring, centre[::-1], (radius, radius), 30, 0, arc, 255, 2, cv2.LINE_AA)
    changed -= ring[..., None] * np.float32(rim / 255)
    if highlight:
        spot = (centre[1] + radius // 3, centre[0] - radius // 3)
        cv2.circle(changed, spot, max(1, radius // 8), (250, 245, 250), -1, cv2.LINE_AA)
    disc = cv2.circle(np.zeros(image.shape[:2], np.uint8), centre[::-1], radius, 1, -1) > 0
    return np.rint(changed).clip(0, 255).astype(np.uint8), disc


@pytest.mark.parametrize("radius", [8, 17, 36])
def test_a_bubble_with_a_pale_rim_goes_and_all_that_it_covers(radius):
    clean = skin(384, 512)
    image, disc = with_bubble(clean, radius)
    for run in (purify_image, lambda image: [each.numpy() for each in purify(image)]):
        purified, mask = run(image)
        mask = mask.reshape(disc.shape) > 0
        assert mask[disc].mean() > 0.95
        assert mask[~cv2.dilate(disc.astype(np.uint8), np.ones((15, 15))).astype(bool)].sum() == 0
        assert psnr(purified, clean, disc) > psnr(image, clean, disc) + 6


@pytest.mark.parametrize(
    "bubble", [{"highlight": False}, {"arc": 270}, {"radius": 60}, {"rim": 3}], ids=str
)
def test_what_has_no_whole_rim_or_no_highlight_is_no_bubble(bubble):
    """Its disc stays: of the rim, lines may be found."""
    radius = bubble.pop("radius", 17)
    image, disc = with_bubble(skin(384, 512), radius, **bubble)
    inside = cv2.erode(disc.astype(np.uint8), np.ones((13, 13))) > 0
    for run in (purify_image, lambda image: [each.numpy() for each in purify(image)]):
        assert np.mean(run(image)[1].reshape(disc.shape)[inside] > 0) < 0.2


def test_a_bubble_at_the_border_and_one_in_each_image_of_a_batch_are_found():
    one, first = with_bubble(skin(384, 512), 12, centre=(14, 15))
    other, second = with_bubble(skin(384, 512), 25, centre=(330, 470))
    masks = purify(np.stack([one, other]))[1].numpy()[..., 0] > 0
    for mask, disc, elsewhere in zip(masks, (first, second), (second, first)):
        assert mask[disc].mean() > 0.95
        assert mask[elsewhere].sum() == 0
