"""The inpainter that ships: small, loadable, documented, and better than the classical filling."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.keras import keras
from melanoma_tf.images.filling import fill
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.purification.classical.opencv import purify_image
from melanoma_tf.purification.inpainter.network import build_inpainter
from melanoma_tf.purification.networks import load_inpainter
from melanoma_tf.purification.shipped import read_inpainter, write_inpainter

FOLDER = shipped_folder()
LARGEST_BYTES = 6 * 2**20


@pytest.fixture(scope="module")
def fill_holes():
    return load_inpainter()


def psnr(one, other, where):
    return -10 * np.log10(np.mean((one[where] - other[where]) ** 2))


def test_weights_are_small_half_precision_and_described():
    assert (FOLDER / "inpainter.npz").stat().st_size <= LARGEST_BYTES
    with np.load(FOLDER / "inpainter.npz") as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float16)}
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
    settings = json.loads((FOLDER / "inpainter.json").read_text())
    assert {source["licence"] for source in settings["sources"].values()} == {"CC0-1.0"}
    assert settings["details"]["feature_network"].startswith("none")
    card = (FOLDER / "inpainter.md").read_text()
    for heading in ("Data", "Licence", "Command", "Scores", "Limits"):
        assert f"## {heading}" in card
    assert "CC0" in card


def test_it_fills_what_a_detector_finds_better_than_the_classical_filling(fill_holes):
    gains = []
    for seed in range(3):
        phantom = draw_phantom("nevus", 900 + seed, PhantomSettings((192, 256), hairs=1))
        found = cv2.dilate(purify_image(phantom.image)[1], np.ones((3, 3))) > 0
        where = found & (phantom.occlusion_mask > 0)
        image = tf.constant(phantom.image[None] / 255.0, tf.float32)
        holes = tf.constant(found[None, ..., None], tf.float32)
        clean = phantom.clean / 255.0
        ours, theirs = (one(image, holes)[0].numpy() for one in (fill_holes, fill))
        np.testing.assert_array_equal(ours[~found], image[0].numpy()[~found])
        assert ours.min() >= 0.0
        assert ours.max() <= 1.0
        gains.append(psnr(ours, clean, where) - psnr(theirs, clean, where))
    assert np.mean(gains) > 0.2


def test_a_photograph_is_purified_on_a_fresh_install(real_data, tmp_path):
    source = real_data / "isic2017" / "ISIC-2017_Training_Data" / "ISIC_0000095.jpg"
    command = ["purify", str(source), "--method", "network", "--segmenter", "none"]
    masks = ["--mask-output", str(tmp_path / "masks")]
    done = CliRunner().invoke(main, [*command, "--output", str(tmp_path), *masks])
    assert done.exit_code == 0, done.output
    mask = cv2.imread(str(tmp_path / "masks" / "ISIC_0000095.png"), 0) > 0
    before, after = (cv2.imread(str(path)) for path in (source, tmp_path / source.name))
    assert 0.05 < mask.mean() < 0.5
    # The photograph is full of dark hairs.
    assert after[mask].mean() > before[mask].mean() + 10


def test_written_and_read_a_network_answers_the_same(tmp_path):
    options = {"base_filters": 2, "levels": 1, "normalization": "batch", "start": "nothing",
               "full_size": False}  # fmt: skip
    keras.utils.set_random_seed(0)
    model = build_inpainter(**options)
    write_inpainter(model, tmp_path, {**options, "seed": 3})
    loaded = read_inpainter(tmp_path)
    rng = np.random.default_rng(0)
    images, known = rng.uniform(0, 255, (1, 9, 7, 3)), np.ones((1, 9, 7, 1))
    known[0, 3:5] = 0
    expected, found = (one([images, known]).numpy() for one in (model, loaded.model))
    np.testing.assert_allclose(found, expected, atol=1.0)
    assert json.loads((tmp_path / "inpainter.json").read_text())["seed"] == 3
