"""Two real workers on loopback: they train like one process, and a lost one hangs nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from melanoma_tf.training.run import read_history
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.faults


@pytest.fixture
def launch(phantom_records, tmp_path):
    """A function that trains with some workers; returns the exit code and what they said."""
    places = tmp_path / "places"
    places.mkdir()

    def run(run_dir, *options, workers=2, script=True, **environment):
        command = [sys.executable, "-m", "tests.faults.worker", phantom_records, run_dir, *options]
        if script:
            launcher = REPOSITORY / "scripts" / "launch_workers.py"
            command = [sys.executable, launcher, workers, "--", *command]
        done = subprocess.run(
            list(map(str, command)), cwd=REPOSITORY, text=True, check=False, timeout=1200,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(places), **environment},
        )  # fmt: skip
        return done.returncode, done.stdout

    run.places = places
    return run


def weights(run_dir):
    return list(np.load(run_dir / "weights.npz").values())


def assert_same_training(ours, theirs):
    for name in ("loss", "auc", "val_loss", "val_auc"):
        assert read_history(ours)[name] == pytest.approx(read_history(theirs)[name], rel=1e-4)
    for one, other in zip(weights(ours), weights(theirs)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_two_workers_train_like_one_process_also_over_a_break(launch, tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    begun = time.monotonic()
    code, said = launch(two, "epochs=3", DIE_IN_EPOCH="3")
    assert code != 0
    lines = [line for line in said.splitlines() if line.startswith("[1] Error: ")]
    assert len(lines) == 1, said
    assert lines[0].startswith("[1] Error: worker 1 of 2 lost another one: ")
    assert lines[0].endswith("Start every worker again with --resume")
    assert time.monotonic() - begun < 600
    assert not (two / "weights.npz").exists()
    assert len(read_history(two)["loss"]) == 2

    left = set(launch.places.iterdir())  # By the worker that was killed.
    code, said = launch(two, "epochs=3", "resume")
    assert code == 0, said
    assert "[1] epoch 3/3" in said
    assert "epoch 2/3" not in said
    assert not [line for line in said.splitlines() if line.startswith("[2] epoch")]
    assert set(launch.places.iterdir()) == left, "a worker leaves its temporary folder"

    code, said = launch(one, "epochs=3", "input_parts=2", script=False)
    assert code == 0, said
    assert_same_training(two, one)
    names = {path.name for path in two.iterdir()}
    assert names == {path.name for path in one.iterdir()}
    # One process goes on with what two began, since the parts of the input stay the same.
    code, said = launch(two, "epochs=4", "resume", script=False)
    assert code == 0, said
    code, said = launch(one, "epochs=4", "resume", script=False)
    assert code == 0, said
    assert_same_training(two, one)


def test_a_worker_does_not_wait_for_ever(launch, tmp_path):
    cluster = {"worker": ["127.0.0.1:39471", "127.0.0.1:39472"]}
    task = {"type": "worker", "index": 0}
    code, said = launch(
        tmp_path / "run", "worker_timeout_s=20", script=False,
        TF_CONFIG=json.dumps({"cluster": cluster, "task": task}),
    )  # fmt: skip
    assert code != 0
    expected = "waited 20 s (--worker-timeout) for the other workers: no answer from "
    assert f"Error: {expected}127.0.0.1:39472. Start every worker again with --resume" in said
    assert not (tmp_path / "run").exists()


def test_more_workers_than_shards_are_refused(launch, tmp_path):
    code, said = launch(tmp_path / "run", workers=3)
    assert code != 0
    assert "expected at least 3 training shards, one for each part of the input; found 2" in said
