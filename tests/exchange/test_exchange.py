"""What one stack made, the other one uses: records, runs, exported models, weights.

The samples were made by `make_samples.py`, each folder on the TensorFlow in its name.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.classification.train import train_classifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.verify import verify_records
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.training.weights import read_weights
from tests.exchange.make_samples import (
    NETWORKS,
    SIZE_PX,
    answer,
    answer_of_run,
    answers_of_the_shipped,
    decoded,
    digest_of_the_shipped,
)

SAMPLES = sorted(Path(__file__).parent.glob("made_on_*"))


@pytest.fixture(params=SAMPLES, ids=lambda path: path.name)
def sample(request):
    return request.param


@pytest.fixture
def answers(sample):
    with np.load(sample / "answers.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def shipped_answers():
    return answers_of_the_shipped()


def test_there_is_a_sample_of_each_stack():
    made_on = {json.loads((one / "run" / "config.json").read_text())["versions"]["tensorflow"]
               for one in SAMPLES}  # fmt: skip
    assert {version.rsplit(".", 1)[0] for version in made_on} == {"2.15", "2.21"}


def test_records_are_sound_and_their_pixels_equal(sample, answers):
    assert verify_records(sample / "records") == []
    np.testing.assert_array_equal(decoded(sample / "records"), answers["pixels"])


def test_a_run_gives_its_answers(sample, answers):
    np.testing.assert_allclose(answer_of_run(sample / "run"), answers["run"], atol=1e-5)


@pytest.mark.parametrize("file", [*(f"{name}.npz" for name in NETWORKS), "detector.keras"])
def test_weights_give_their_answers(sample, answers, file):
    name = file.split(".")[0]
    network = NETWORKS[name]()
    read_weights(network, sample / file)
    # The weights are random, and an inpainter's answer has no bounds.
    apart = np.abs(answer(name, network) - answers[name]).max()
    assert apart < 1e-4 * max(1.0, np.abs(answers[name]).max())


def test_an_exported_model_gives_its_answers(sample, answers):
    images = sorted(sample.glob("*.jpg"))
    found = [one.probabilities for one in load_classifier(sample / "saved_model").predict(images)]
    np.testing.assert_allclose(found, answers["served"], atol=1e-5)


def test_the_shipped_networks_agree(answers, shipped_answers):
    if str(answers["shipped"]) != digest_of_the_shipped():
        pytest.skip("other networks ship since the samples were made: make the samples again")
    for name, found in shipped_answers.items():
        np.testing.assert_allclose(found, answers[name], atol=1e-4, err_msg=name)


def test_a_run_is_not_resumed_on_the_other_stack(tmp_path):
    own = tf.__version__.rsplit(".", 1)[0]
    (other,) = (one for one in SAMPLES if not one.name.endswith(own))
    shutil.copytree(other, tmp_path / "other")
    run_dir, records = tmp_path / "other" / "run", tmp_path / "other" / "records"
    config = json.loads((run_dir / "config.json").read_text())
    config["records"][0]["path"] = str(records)  # They were moved.
    (run_dir / "config.json").write_text(json.dumps(config))
    network = NetworkSettings("small", "none", image_size_px=SIZE_PX)
    settings = ClassifierSettings(epochs=2, batch_size=4, network=network)
    with pytest.raises(MelanomaError, match=r"versions.tensorflow was '2.\d+.\d+', is '2"):
        train_classifier(records, run_dir, settings, resume=True)
