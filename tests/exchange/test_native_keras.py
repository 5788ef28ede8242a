"""Native Keras 3 builds the networks that need least, and they answer as under Keras 2."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from melanoma_tf.core.stack import IS_TENSORFLOW_2_15
from tests.conftest import REPOSITORY
from tests.exchange.answers_on_native_keras import NETWORKS
from tests.exchange.make_samples import digest_of_the_shipped

pytestmark = pytest.mark.skipif(IS_TENSORFLOW_2_15, reason="TensorFlow 2.15 has no Keras 3")
SAMPLES = sorted(Path(__file__).parent.glob("made_on_*"))


@pytest.fixture(scope="module")
def native_answers(tmp_path_factory):
    output = tmp_path_factory.mktemp("native") / "answers.npz"
    command = [sys.executable, "-m", "tests.exchange.answers_on_native_keras", str(output)]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=300)
    with np.load(output) as stored:
        return dict(stored)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("network", NETWORKS)
def test_native_keras_3_gives_the_answers_of_keras_2(native_answers, network, sample):
    assert str(native_answers["version"]).startswith("3.")
    with np.load(sample / "answers.npz") as expected:
        if str(expected["shipped"]) != digest_of_the_shipped():
            pytest.skip("other networks ship since the samples were made: make the samples again")
        np.testing.assert_allclose(native_answers[network], expected[network], atol=1e-4, rtol=0)
