"""The occlusion detector that ships: small, loadable, documented, and finding what it should."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.networks import load_detector, load_inpainter
from melanoma_tf.purification.purify import purify, purify_by
from melanoma_tf.purification.shipped import read_detector, write_detector
from melanoma_tf.purification.traced import traced_purification

FOLDER = shipped_folder()
LARGEST_BYTES = 6 * 2**20


@pytest.fixture(scope="module")
def find():
    return load_detector()


def test_weights_are_small_half_precision_and_described():
    assert (FOLDER / "occlusion_detector.npz").stat().st_size <= LARGEST_BYTES
    with np.load(FOLDER / "occlusion_detector.npz") as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float16)}
        assert all(np.isfinite(stored[name]).all() for name in stored.files)
    settings = json.loads((FOLDER / "occlusion_detector.json").read_text())
    assert {source["licence"] for source in settings["sources"].values()} == {"CC0-1.0"}
    card = (FOLDER / "occlusion_detector.md").read_text()
    for heading in ("Data", "Licence", "Command", "Scores", "Limits"):
        assert f"## {heading}" in card
    assert "CC0" in card


def test_on_phantoms_it_finds_the_hairs_and_little_else(find):
    """Phantoms draw their hairs by code that training never saw."""
    hairs = PhantomSettings((384, 512), hairs=1, ruler=0, ink=0, bubbles=0)
    ours, theirs = [], []
    for seed in range(6):
        phantom = draw_phantom("nevus", 700 + seed, hairs)
        image = phantom.image[np.newaxis]
        plain = np.abs(phantom.image.astype(int) - phantom.clean).max(-1) > 50
        near = cv2.dilate(phantom.occlusion_mask, np.ones((7, 7))) > 0
        by_network = find(tf.constant(image, tf.float32) / 255.0)[0, ..., 0].numpy() > 0
        classical = purify(image)[1].numpy()[0, ..., 0] > 0
        for scores, mask in ((ours, by_network), (theirs, classical)):
            scores.append(((mask & plain).sum() / plain.sum(), (mask & near).sum() / mask.sum()))
    found, compared = np.mean(ours, 0), np.mean(theirs, 0)
    assert (found > compared).all()
    assert found[0] > 0.95
    assert found[1] > 0.85


def test_the_traced_graphs_are_those_of_the_networks(find):
    """Graphs that are out of date cost ten seconds at every start, and may answer otherwise."""
    traced = traced_purification("shipped", "shipped")
    assert traced is not None, (
        "expected purification_graph.npz and filling_graph.npz to be those of the networks; "
        "scripts/ship_network.py traces them again"
    )
    phantom = draw_phantom("nevus", 3, PhantomSettings((200, 260), hairs=1))
    image = tf.constant(phantom.image)
    mask = tf.constant(phantom.occlusion_mask[..., np.newaxis])
    fill = load_inpainter()
    pairs = (
        (traced.purify(image), purify_by(fill, image, find=find)),
        (traced.fill(image, mask), purify_by(fill, image, occlusion_masks=mask)),
    )
    for (purified, replaced), (expected, expected_mask) in pairs:
        # A probability of 0.5 may round to either side.
        assert np.mean(replaced.numpy() != expected_mask.numpy()) < 1e-3
        same = (replaced.numpy() == expected_mask.numpy())[..., 0]
        apart = np.abs(purified.numpy().astype(int) - expected.numpy())[same]
        assert np.mean(apart > 2) < 1e-3


def test_purification_by_networks_stays_away_from_a_picture_without_occlusions(find):
    clear = PhantomSettings((384, 512), hairs=0, ruler=0, ink=0, bubbles=0)
    phantom = draw_phantom("nevus", 750, clear)
    _, replaced = purify_by(load_inpainter(), phantom.image, find=find)
    assert (replaced.numpy() > 0).mean() < 0.02


def test_hairs_of_a_photograph_are_found(find, real_data):
    source = real_data / "isic2017" / "ISIC-2017_Training_Data" / "ISIC_0000095.jpg"
    image = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2RGB)
    purified, replaced = purify_by(load_inpainter(), image, find=find)
    mask = replaced.numpy()[..., 0] > 0
    assert 0.05 < mask.mean() < 0.5
    # The photograph is full of dark hairs.
    assert purified.numpy()[mask].mean() > image[mask].mean() + 10


def test_written_and_read_a_network_answers_the_same(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_detector(2, 1)
    settings = {"base_filters": 2, "levels": 1, "threshold": 0.4, "seed": 3}
    write_detector(model, tmp_path, settings)
    loaded = read_detector(tmp_path)
    images = np.random.default_rng(0).uniform(0, 255, (1, 9, 7, 3))
    np.testing.assert_allclose(loaded.model(images), model(images), atol=0.01)
    assert loaded.threshold == 0.4
    assert json.loads((tmp_path / "occlusion_detector.json").read_text())["seed"] == 3
