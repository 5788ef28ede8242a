"""The segmenter that ships: small, loadable, documented, and of use on phantoms and photographs."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from melanoma_tf.core.keras import keras
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.predict import (
    load_segmenter,
    load_traced_segmenter,
    segment_files,
)
from melanoma_tf.segmentation.settings import InferenceSettings
from melanoma_tf.segmentation.shipped import read_segmenter, write_segmenter

FOLDER = shipped_folder()
LARGEST_BYTES = 12 * 2**20


@pytest.fixture(scope="module")
def segment_lesion():
    return load_traced_segmenter()


def jaccard(mask, truth):
    found, expected = np.asarray(mask) > 128, np.asarray(truth) > 128
    return (found & expected).sum() / max(1, (found | expected).sum())


def test_weights_are_small_half_precision_and_described():
    assert (FOLDER / "segmenter.npz").stat().st_size <= LARGEST_BYTES
    with np.load(FOLDER / "segmenter.npz") as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float16)}
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
    card = (FOLDER / "segmenter.md").read_text()
    for heading in ("Data", "Licence", "Command", "Scores", "Limits"):
        assert f"## {heading}" in card
    assert "CC0" in card


def test_it_answers_in_the_images_size(segment_lesion):
    phantom = draw_phantom("melanoma", 3, PhantomSettings((200, 260), hairs=0.0))
    probability = segment_lesion(phantom.image)
    assert probability.dtype == tf.float32
    assert probability.shape == (200, 260)
    assert float(tf.reduce_min(probability)) >= 0.0
    assert float(tf.reduce_max(probability)) <= 1.0
    mask = segment_lesion.mask(phantom.image).numpy()
    assert mask.dtype == np.uint8
    assert jaccard(mask, phantom.lesion_mask) > 0.6


def test_masks_lie_on_the_image_as_exif_turns_it(segment_lesion, tmp_path):
    phantom = draw_phantom("melanoma", 3, PhantomSettings((96, 128), hairs=0.0))
    image, exif = Image.fromarray(phantom.image), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "plain.png")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    paths = [tmp_path / "plain.png", tmp_path / "turned.png"]
    plain, turned = (result.mask for result in segment_files(paths, segment_lesion))
    assert plain == turned


def test_it_finds_the_lesions_of_photographs_of_both_sources(segment_lesion, real_data):
    """A few images only; the model card has the scores of all."""
    for folder, images, truths in (
        ("isic2017", "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
        (
            "isic2017-validation",
            "ISIC-2017_Validation_Data",
            "ISIC-2017_Validation_Part1_GroundTruth",
        ),
    ):
        scores = []
        for path in sorted((real_data / folder / images).glob("*.jpg"))[::15][:4]:
            image = cv2.imread(str(path))[..., ::-1]
            truth = real_data / folder / truths / f"{path.stem}_segmentation.png"
            scores.append(jaccard(segment_lesion.mask(image), cv2.imread(str(truth), 0)))
        assert np.mean(scores) > 0.6, folder


def test_the_traced_graph_is_that_of_the_network(segment_lesion):
    """A graph that is out of date costs ten seconds at every start, and may answer otherwise."""
    network = load_segmenter()
    assert not isinstance(segment_lesion, LesionSegmenter), (
        "expected segmenter_graph.npz to be that of segmenter.npz and segmenter.json; "
        "scripts/ship_network.py traces it again"
    )
    assert segment_lesion.settings == network.settings
    image = draw_phantom("melanoma", 3, PhantomSettings((200, 260), hairs=0.0)).image
    difference = np.abs(segment_lesion(image).numpy() - network(image).numpy())
    # A pixel on the border of a hole may fall on the other side of the threshold.
    assert (difference > 1e-3).mean() < 1e-4


def test_with_other_settings_the_network_is_built(monkeypatch):
    """The graph has the settings that ship."""
    asked = []
    monkeypatch.setattr(
        "melanoma_tf.segmentation.predict.load_segmenter",
        lambda *arguments, **changes: asked.append((arguments, changes)),
    )
    load_traced_segmenter("shipped", flips=False)
    load_traced_segmenter("shipped", flips=True)
    assert asked == [(("shipped",), {"flips": False})]


def test_written_and_read_a_network_answers_the_same(tmp_path):
    options = {"base_filters": 2, "padding": "same", "normalization": "batch", "dropout": 0.1,
               "colour_constancy": True, "skin_white_balance": False, "chroma": True}  # fmt: skip
    keras.utils.set_random_seed(0)  # A random map near the threshold may round to either side.
    model = build_segmenter(64, **options)
    settings = InferenceSettings(0.5, False, False, True, False)
    written = {"image_size_px": 64, **options, **settings.to_json(), "seed": 3}
    write_segmenter(model, tmp_path, written)
    loaded = read_segmenter(tmp_path)
    assert loaded.settings == settings
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected = LesionSegmenter(model, settings)(image)
    # A pixel of a random map near the threshold may fall on either side of it.
    apart = np.abs(loaded(image) - expected)
    assert np.mean(apart < 5e-3) > 0.99
    assert json.loads((tmp_path / "segmenter.json").read_text())["seed"] == 3
