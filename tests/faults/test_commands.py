"""Commands that are killed, on full drives, or given damaged files: nothing done is lost.

Killed at random moments of a time that the same command took: what was there before is whole,
nothing half is accepted, and the next run ends as if nothing had been.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.backbones.networks import BACKBONES
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.verify import verify_records
from melanoma_tf.training.run import read_history
from tests.conftest import build_one_convolution
from tests.faults.conftest import digests, hidden, moments

pytestmark = pytest.mark.faults
NETWORK = ("--backbone", "small", "--weights", "none", "--image-size", "32", "--augment", "none")


@pytest.fixture(autouse=True)
def _the_network_of_the_commands(monkeypatch):
    monkeypatch.setitem(BACKBONES, "small", build_one_convolution)


def train(records, run_dir, *options, epochs=2):
    return ("train", "classifier", "--records", records, "--run-dir", run_dir, *NETWORK,
            "--epochs", epochs, "--batch-size", 8, *options)  # fmt: skip


def test_killed_builds(commands, phantom_folder, tmp_path):
    def build(output, *options):
        return ("build-records", "--add", f"isic2017={phantom_folder}", "--taxonomy", "isic2017",
                "--image-size", 48, "--shards", 2, "--output", output, *options)  # fmt: skip

    seconds = commands.succeed(*build(tmp_path / "whole"))
    for moment in moments(seconds, 4):
        commands.run(*build(tmp_path / "out"), kill_after=moment)
        if (tmp_path / "out").exists():
            assert verify_records(tmp_path / "out") == []
            shutil.rmtree(tmp_path / "out")
    commands.succeed(*build(tmp_path / "out"))
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert hidden(tmp_path) == []


def test_killed_replacements_of_records(commands, phantom_records, tmp_path):
    """`purify --overwrite`: the old folder or the new one, and always one of them."""
    output = tmp_path / "out"
    purify = ("purify", phantom_records, "--segmenter", "none", "--output", output, "--overwrite")
    seconds = commands.succeed(*purify)
    before = digests(output)
    for moment in [*moments(seconds, 3), 0.95 * seconds]:
        commands.run(*purify, kill_after=moment)
        assert verify_records(output) == []
        assert digests(output) == before
    commands.succeed(*purify)
    assert hidden(tmp_path) == []


def test_killed_trainings(commands, phantom_records, tmp_path):
    run_dir = tmp_path / "run"
    seconds = commands.succeed(*train(phantom_records, tmp_path / "whole"))
    commands.run(*train(phantom_records, run_dir), kill_after=0.3 * seconds)
    for moment in moments(seconds, 2):
        epochs = len(read_history(run_dir).get("loss", []))
        begun = ["--resume"] if epochs else []
        commands.run(*train(phantom_records, run_dir, *begun), kill_after=moment)
        assert len(read_history(run_dir).get("loss", [])) >= epochs
        if not (run_dir / "weights.npz").exists():
            with pytest.raises(MelanomaError, match=r"has not finished|no config"):
                load_classifier(run_dir)
    begun = ["--resume"] if read_history(run_dir) else []
    commands.succeed(*train(phantom_records, run_dir, *begun))
    ours, theirs = (np.load(each / "weights.npz") for each in (run_dir, tmp_path / "whole"))
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert hidden(tmp_path) == []
    assert not list(run_dir.rglob("*.partial"))


def test_a_killed_replacement_of_a_run_keeps_the_run(commands, phantom_records, tmp_path):
    run_dir = tmp_path / "run"
    seconds = commands.succeed(*train(phantom_records, run_dir, epochs=1))
    before = (run_dir / "weights.npz").read_bytes()
    again = train(phantom_records, run_dir, "--overwrite", "--seed", 5, epochs=1)
    commands.run(*again, kill_after=0.6 * seconds)
    assert (run_dir / "weights.npz").read_bytes() == before
    evaluate = ("evaluate", "--run-dir", run_dir, "--records", phantom_records, "--rounds", 0)
    seconds = commands.succeed(*evaluate)
    scores = (run_dir / "metrics.json").read_bytes()
    commands.run(*evaluate, "--overwrite", kill_after=0.7 * seconds)
    assert (run_dir / "metrics.json").read_bytes() == scores
    export = ("export", "--run-dir", run_dir, "--output", tmp_path / "model")
    seconds = commands.succeed(*export)
    commands.run(*export, kill_after=0.5 * seconds)
    commands.succeed(*export)
    assert not [name for name in hidden(tmp_path / "model") if name.endswith(".partial")]
    commands.succeed(*again)
    assert not (tmp_path / "run.new").exists()


@pytest.mark.parametrize("size", ["12k", "24k", "36k", "56k"])
def test_a_full_drive_is_one_line(commands, phantom_records, small_drive, size):
    drive = small_drive(size)
    code, _, said = commands.run(*train(phantom_records, drive / "run"))
    assert code == 1
    assert "No space left on device" in said.splitlines()[-1]
    assert not (drive / "run" / "weights.npz").exists()


def test_exports_and_records_on_a_full_drive(commands, phantom_records, small_drive):
    run_dir = phantom_records.parent / "run-for-a-full-drive"
    commands.succeed(*train(phantom_records, run_dir, epochs=1))
    for command in (
        ("purify", phantom_records, "--segmenter", "none", "--output"),
        ("segment", phantom_records, "--output"),
        ("export", "--run-dir", run_dir, "--output"),
    ):
        drive = small_drive("20k")
        code, _, said = commands.run(*command, drive / "out")
        assert code == 1
        assert "No space left on device" in said.splitlines()[-1]
        assert not (drive / "out").exists()
        assert hidden(drive) == []


def test_damaged_records_are_named_by_every_command(commands, phantom_records, tmp_path):
    records, run_dir = shutil.copytree(phantom_records, tmp_path / "bad"), tmp_path / "run"
    commands.succeed(*train(phantom_records, run_dir, epochs=1))
    for split in ("train", "test"):
        shard = sorted(records.glob(f"{split}-*.tfrecord"))[0]
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 1
        shard.write_bytes(content)
    for shard, command in (
        ("train-00000", train(records, tmp_path / "second")),
        ("-00000-of", ("evaluate", "--run-dir", run_dir, "--records", records)),
        ("train-00000", ("segment", records, "--output", tmp_path / "masks")),
        ("train-00000", ("purify", records, "--segmenter", "none", "--output", tmp_path / "p")),
    ):
        code, _, said = commands.run(*command)
        assert code == 1
        assert shard in said.splitlines()[-1], said
        assert "cannot be read after" in said.splitlines()[-1]
    assert not (tmp_path / "masks").exists()
    assert not (tmp_path / "p").exists()


def test_an_output_that_cannot_be_written_is_one_line(commands, phantom_records, tmp_path):
    (tmp_path / "file").touch()
    for command in (
        train(phantom_records, tmp_path / "file" / "run"),
        ("purify", phantom_records, "--output", tmp_path / "file" / "out"),
    ):
        code, _, said = commands.run(*command)
        assert code == 1
        assert len(said.strip().splitlines()) == 1, said
        assert "file" in said
