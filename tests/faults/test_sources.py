"""Photographs, records and models that vanish, change or are damaged under a command's hands."""

from __future__ import annotations

import random
import shutil
import threading

import pytest

from melanoma_tf.records.read import read_examples
from melanoma_tf.records.verify import verify_records
from tests.faults.test_commands import train

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def run_dir(commands, phantom_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    commands.succeed(*train(phantom_records, folder, epochs=1))
    return folder


@pytest.fixture(scope="module")
def model(commands, run_dir):
    commands.succeed("export", "--run-dir", run_dir, "--output", run_dir.parent / "model")
    return run_dir.parent / "model"


@pytest.fixture
def photographs(phantom_records, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for example in list(read_examples(phantom_records))[:16]:
        (folder / f"{example.key}.jpg").write_bytes(example.image)
    return folder


def run_while(commands, command, moment, action, *arguments):
    """Run a command; after some seconds, something happens to what it reads."""
    timer = threading.Timer(moment, action, arguments)
    timer.start()
    try:
        return commands.run(*command)
    finally:
        timer.cancel()
        timer.join()


def vanish(paths):
    for path in paths:
        path.unlink()


def are_cut(paths):
    for path in paths:
        path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("name", "action"), [("segment", vanish), ("purify", are_cut), ("predict", vanish)]
)
def test_photographs_that_vanish_or_change(commands, run_dir, photographs, tmp_path, name, action):
    """A command ends well, or names what it could not read; others are not lost."""
    output = tmp_path / "out"
    given = {
        "segment": ("segment", photographs, "--output", output, "--no-flips"),
        "purify": ("purify", photographs, "--method", "classical", "--segmenter", "none",
                   "--output", output),
        "predict": ("predict", photographs, "--run-dir", run_dir, "--output", output),
    }[name]  # fmt: skip
    files = sorted(photographs.iterdir())
    last = files[-6:]

    code, _, said = run_while(commands, given, 0.4, action, last)
    assert code in (0, 1)
    if code == 1:
        assert any(path.name in said for path in last), said
    if name == "predict":
        answered = output.read_text() if output.exists() else ""
        assert code == 1 or answered
    elif output.exists():
        assert {path.stem for path in files[:-6]} <= {
            path.stem.removesuffix("_segmentation") for path in output.iterdir()
        }


@pytest.mark.parametrize("name", ["purify", "train", "evaluate"])
def test_records_that_vanish_or_are_cut(commands, run_dir, phantom_records, tmp_path, name):
    """A copy is whole and holds what was there, or there is none; a line names the shard."""
    records, output = shutil.copytree(phantom_records, tmp_path / "records"), tmp_path / "out"
    command, action = {
        "purify": (("purify", records, "--segmenter", "none", "--output", output), are_cut),
        "train": (train(records, output, epochs=3), vanish),
        "evaluate": (("evaluate", "--run-dir", run_dir, "--records", records, "--rounds", 0,
                      "--output", output), vanish),
    }[name]  # fmt: skip
    shards = list(records.glob("t*-00001-of-*.tfrecord"))
    code, _, said = run_while(commands, command, 0.5, action, shards)
    assert code in (0, 1)
    if code == 1:
        assert any(shard.name in said.splitlines()[-1] for shard in shards), said
    if name == "purify" and output.exists():
        assert verify_records(output) == []
    if name == "train":
        assert (output / "weights.npz").exists() == (code == 0)
    if name == "evaluate":
        assert (output / "metrics.json").exists() == (code == 0)


@pytest.mark.parametrize("name", ["saved_model.pb", "metadata.json"])
def test_models_with_a_flipped_bit_are_refused_in_one_line(
    commands, model, photographs, tmp_path, name
):
    damaged = shutil.copytree(model, tmp_path / "model")
    choose, path = random.Random(0), damaged / "1" / name
    content = bytearray(path.read_bytes())
    content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
    path.write_bytes(content)
    photograph = sorted(photographs.iterdir())[0]
    for command in (("predict", photograph, "--model", damaged), ("verify-model", damaged)):
        code, _, said = commands.run(*command)
        assert code == 1
        assert str(damaged) in said.splitlines()[-1], said
