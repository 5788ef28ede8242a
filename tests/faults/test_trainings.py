"""Trainings of other networks than the classifier, killed at random moments and gone on with."""

from __future__ import annotations

import numpy as np
import pytest

from melanoma_tf.training.run import read_history
from tests.faults.conftest import hidden, moments

pytestmark = pytest.mark.faults
GAN = ("--image-size", 64, "--latent-size", 4, "--batch-size", 2, "--steps-per-epoch", 1,
       "--collapse-fraction", 0, "--no-differentiable-augmentation")  # fmt: skip
KINDS = {
    "segmenter": ("--image-size", 64, "--base-filters", 1, "--padding", "same", "--augment", "none",
                  "--batch-size", 12),
    "gan": ("--class", "melanoma", *GAN),
    "coupled-gan": GAN,
    "inpainter": ("--image-size", 32, "--base-filters", 2, "--levels", 1, "--features", "none",
                  "--batch-size", 12, "--frozen-epochs", 1, "--no-augment"),
    "occlusion-detector": ("--image-size", 64, "--base-filters", 2, "--levels", 1,
                           "--batch-size", 12, "--no-augment"),
}  # fmt: skip


def train(kind, records, run_dir, *options):
    return ("train", kind, "--records", records, "--run-dir", run_dir, *KINDS[kind],
            "--epochs", 2, *options)  # fmt: skip


@pytest.fixture(scope="module")
def whole_runs(commands, phantom_records, tmp_path_factory):
    """A function that returns the run folder of a kind, and the seconds that it took."""
    folder, seconds = tmp_path_factory.mktemp("whole"), {}

    def whole(kind):
        if kind not in seconds:
            seconds[kind] = commands.succeed(*train(kind, phantom_records, folder / kind))
        return folder / kind, seconds[kind]

    return whole


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_ends_as_if_nothing_had_been(
    commands, phantom_records, whole_runs, tmp_path, kind
):
    whole, seconds = whole_runs(kind)
    run_dir = tmp_path / "run"
    # Networks begin to train at about a half of the time.
    (moment,) = moments(seconds / 2, 1)
    commands.run(*train(kind, phantom_records, run_dir), kill_after=seconds / 2 + moment)
    before = read_history(run_dir)
    begun = ["--resume"] if before else []
    commands.succeed(*train(kind, phantom_records, run_dir, *begun))
    history = read_history(run_dir)
    before.pop("images_per_second", None)  # An epoch is trained again, at another speed.
    for name, values in before.items():
        assert history[name][: len(values)] == values
    names = sorted(path.name for path in whole.glob("*.npz"))
    assert names
    assert sorted(path.name for path in run_dir.glob("*.npz")) == names
    for name in names:
        ours, theirs = np.load(run_dir / name), np.load(whole / name)
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key])
    assert hidden(tmp_path) == []
    assert not list(run_dir.rglob("*.partial"))
