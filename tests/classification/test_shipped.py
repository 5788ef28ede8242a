"""The classifier that ships: a whole run folder within the package, which nothing writes into."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.phantoms.folder import write_phantoms
from melanoma_tf.pretrained import classifier_run, shipped_folder

FOLDER = classifier_run("shipped")
LARGEST_BYTES = 9 * 2**20
CLASS_NAMES = ["melanoma", "nevus", "seborrheic_keratosis"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    write_phantoms(folder / "phantoms", 3, seed=3)
    return sorted((folder / "phantoms").rglob("*.jpg"))


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_it_is_small_half_precision_and_described():
    path = FOLDER / "weights.npz"
    assert path.stat().st_size <= LARGEST_BYTES
    with np.load(path, allow_pickle=False) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype("float16")}
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["class_names"] == CLASS_NAMES
    assert {row["licence"] for row in config["sources"].values()} == {"CC0-1.0"}
    card = (shipped_folder() / "classifier.md").read_text()
    assert "Not a medical device" in card
    assert "CC0" in card


def test_predict_without_a_model_uses_it_with_eight_views(photographs, tmp_path):
    default, explicit = tmp_path / "default.csv", tmp_path / "explicit.csv"
    result = invoke("predict", *photographs, "--output", default)
    assert result.exit_code == 0, result.output
    result = invoke(
        "predict", *photographs, "--run-dir", "shipped", "--tta", 8, "--output", explicit
    )
    assert result.exit_code == 0, result.output
    assert default.read_text() == explicit.read_text()
    header, *rows = default.read_text().splitlines()
    assert header.split(",")[-3:] == CLASS_NAMES
    assert len(rows) == len(photographs)


def test_nothing_is_written_into_the_package(tmp_path):
    before = {path: path.stat().st_mtime_ns for path in FOLDER.iterdir()}
    evaluated = invoke("evaluate", "--run-dir", "shipped", "--records", tmp_path)
    assert evaluated.exit_code == 1
    assert "expected --output with the classifier that ships" in evaluated.output
    calibrated = invoke("calibrate", "--run-dir", "shipped", "--records", tmp_path, "--overwrite")
    assert calibrated.exit_code == 1
    assert "calibrated already" in calibrated.output
    assert f"copy {FOLDER} and calibrate the copy" in " ".join(calibrated.output.split())
    assert {path: path.stat().st_mtime_ns for path in FOLDER.iterdir()} == before
