"""A segmenter on an encoder, trained, used and shipped, in the small."""

import dataclasses
import json

import numpy as np
import pytest

from melanoma_tf.backbones.efficientnet_lite import imagenet_weights
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.segmentation.predict import load_segmenter
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.segmentation.shipped import read_segmenter, write_segmenter
from melanoma_tf.segmentation.train import SEGMENTER, train_segmenter
from melanoma_tf.training.run_record import read_run

LITE = SegmenterSettings(
    image_size_px=64,
    encoder="efficientnet-lite0",
    weights="imagenet",
    normalization="batch",
    epochs=1,
    batch_size=12,
    learning_rate=1e-3,
    overlap="jaccard",
    augment="mild",
    average_momentum=0.5,
    threshold=0.5,
)


def quiet(_):
    pass


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, phantom_records):
    folder = tmp_path_factory.mktemp("runs") / "lite"
    train_segmenter(phantom_records, folder, LITE, log=quiet)
    return folder


def test_the_run_says_what_it_stands_on(run_dir):
    assert read_run(run_dir, SEGMENTER).settings == LITE
    assert len(json.loads((run_dir / "history.json").read_text())["val_jaccard"]) == 1


def test_its_weights_ship_and_answer_the_same(run_dir, tmp_path):
    segmenter = load_segmenter(run_dir, refine=False, flips=False, adaptive_threshold=False)
    settings = {**LITE.to_json(), **segmenter.settings.to_json()}
    write_segmenter(segmenter.model, tmp_path, settings)
    loaded = read_segmenter(tmp_path)
    assert loaded.settings == segmenter.settings
    squares = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    ours, theirs = (one.model(squares).numpy() for one in (segmenter, loaded))
    np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "resnet50"}, "found resnet50"),
        ({"image_size_px": 80}, "found 80, nearest: 64 and 96"),
        ({"base_filters": 8}, "expected no --base-filters with --encoder efficientnet-lite0"),
        ({"skin_white_balance": True}, "expected no --skin-white-balance with"),
        ({"encoder": "efficientnet-lite1"}, "lite1 do not ship"),
        ({"weights": "missing.npz"}, "missing.npz does not exist"),
        ({"weights": "missing.keras"}, "found missing.keras"),
        ({"encoder": "none", "padding": "same"}, "Table 1 has no ImageNet weights"),
        (
            {"encoder": "efficientnet-lite2", "weights": str(imagenet_weights("lite0"))},
            "expected the weights of efficientnet_lite2",
        ),
    ],
)
def test_settings_that_do_not_fit_are_one_clear_line(phantom_records, tmp_path, changes, message):
    with pytest.raises(MelanomaError, match=message) as raised:
        wrong = dataclasses.replace(LITE, **changes)
        train_segmenter(phantom_records, tmp_path / "run", wrong, log=quiet)
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()
