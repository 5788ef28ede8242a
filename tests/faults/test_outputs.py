"""`generate` and `segment` killed at random moments, and two commands at once on one output."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from melanoma_tf.records.read import read_examples
from melanoma_tf.records.verify import verify_records
from tests.faults.conftest import digests, hidden, moments
from tests.faults.test_commands import train
from tests.faults.test_trainings import KINDS
from tests.faults.test_trainings import train as train_other

pytestmark = pytest.mark.faults
_LOSER = ("one is running", "exists; expected a new path, or --overwrite to replace it")


@pytest.fixture(scope="module")
def runs(commands, phantom_records, tmp_path_factory):
    """A function that returns the folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs")

    def run(kind):
        if not (folder / kind).exists():
            given = (phantom_records, folder / kind)
            command = train_other(kind, *given) if kind in KINDS else train(*given, epochs=1)
            commands.succeed(*command)
        return folder / kind

    return run


@pytest.fixture
def photographs(phantom_records, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for example in list(read_examples(phantom_records))[:12]:
        (folder / f"{example.key}.jpg").write_bytes(example.image)
    return folder


def contents(folder):
    """The files by name; but `dataset_info.json`, which has the name of the folder."""
    paths = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in paths if path.name != "dataset_info.json"}


def generate(run_dir, output, *options):
    return ("generate", "--run-dir", run_dir, "--count", 3, "--min-mse", 0, "--output", output,
            *options)  # fmt: skip


def kill_at_moments(commands, command, output, seconds, is_whole):
    """Kill a command that makes an output: it is whole, or there is none, or the old one stays."""
    for moment in moments(seconds, 4):
        code, _, _ = commands.run(*command, kill_after=moment)
        assert code in (0, -9)
        if output.exists():
            is_whole(output)
    commands.succeed(*command)
    is_whole(output)
    assert hidden(output.parent) == []


@pytest.mark.parametrize("kind", ["gan", "coupled-gan"])
def test_killed_generations(commands, runs, tmp_path, kind):
    whole, output = tmp_path / "whole", tmp_path / "out"
    seconds = commands.succeed(*generate(runs(kind), whole))

    def is_whole(folder):
        assert verify_records(folder) == []
        assert digests(folder) == digests(whole)
        assert (folder / "nearest.csv").read_bytes() == (whole / "nearest.csv").read_bytes()

    # First where there is nothing, then where there is one to replace.
    commands.run(*generate(runs(kind), output), kill_after=0.9 * seconds)
    command = generate(runs(kind), output, "--overwrite")
    kill_at_moments(commands, command, output, seconds, is_whole)


@pytest.mark.parametrize("what", ["photographs", "records"])
def test_killed_segmentations(commands, runs, phantom_records, photographs, tmp_path, what):
    source = photographs if what == "photographs" else phantom_records
    whole, output = tmp_path / "whole", tmp_path / "out"
    given = ("segment", source, "--run-dir", runs("segmenter"), "--no-flips")
    seconds = commands.succeed(*given, "--output", whole)

    def is_whole(folder):
        assert contents(folder) == contents(whole)

    commands.run(*given, "--output", output, kill_after=0.8 * seconds)
    kill_at_moments(
        commands, (*given, "--output", output, "--overwrite"), output, seconds, is_whole
    )


@pytest.mark.parametrize("name", ["generate", "segment", "evaluate"])
def test_two_commands_on_one_output(commands, runs, phantom_records, photographs, tmp_path, name):
    """One makes it; the other says in one line that it may not, and the output is of one alone."""
    output = tmp_path / "out"
    pair = {
        "generate": [generate(runs("gan"), output, "--seed", seed) for seed in (0, 1)],
        "segment": [
            ("segment", photographs, "--run-dir", runs("segmenter"), "--output", output, *options)
            for options in ((), ("--overlay",))
        ],
        "evaluate": [
            ("evaluate", "--run-dir", runs("classifier"), "--records", phantom_records,
             "--rounds", 0, "--output", output, "--split", split)
            for split in ("test", "validation")
        ],
    }[name]  # fmt: skip
    answers = commands.run_together(*pair)
    assert sorted(code for code, _, _ in answers) == [0, 1], answers
    (said,) = (words for code, _, words in answers if code == 1)
    assert said.strip().splitlines()[-1].endswith(_LOSER), said
    assert "Error: " in said.splitlines()[-1]
    assert hidden(tmp_path) == []
    first = answers[0][0] == 0
    if name == "generate":
        assert verify_records(output) == []
        assert json.loads((output / "manifest.json").read_text())["settings"]["generate"][
            "seed"
        ] == (0 if first else 1)
    elif name == "segment":
        assert (output / "overlays").exists() != first
        assert len(list(output.glob("*.png"))) == 12
    else:
        scored = json.loads((output / "metrics.json").read_text())
        assert scored["split"] == ("test" if first else "validation")
        rows = (output / "predictions.csv").read_text().splitlines()
        assert len(rows) == scored["n"] + 1
        assert [path.name for path in (output / "logs").iterdir()] == [
            f"evaluation-{scored['split']}"
        ]


def test_two_exports_are_two_versions(commands, runs, tmp_path):
    export = ("export", "--run-dir", runs("classifier"), "--output", tmp_path / "model")
    answers = commands.run_together(export, export)
    assert [code for code, _, _ in answers] == [0, 0], answers
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["1", "2"]
    commands.succeed("verify-model", tmp_path / "model")


def test_two_runs_of_an_experiment_in_one_folder(commands, tmp_path):
    demo = ("demo", "--work-dir", tmp_path / "demo", "--images", 60, "--image-size", 32)
    answers = commands.run_together(demo, demo, kill_after="first")
    assert sorted(code for code, _, _ in answers) == [-9, 1], answers
    (said,) = (words for code, _, words in answers if code == 1)
    assert said.splitlines()[-1].endswith("one is running")
    assert (tmp_path / "demo").is_dir()


def flip_a_bit(path):
    """Flip a bit where it changes a number: in the middle, or in the first fraction of JSON."""
    content = bytearray(path.read_bytes())
    is_json = path.suffix == ".json"
    place = re.search(rb"\d\.\d", content).start() if is_json else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "name", "names"),
    [
        ("classifier", "weights.npz", ("evaluate", "predict", "export", "explain")),
        ("classifier", "config.json", ("evaluate", "predict", "export", "resume")),
        ("classifier", "calibration.json", ("evaluate", "predict", "export", "resume")),
        ("classifier", "history.json", ("resume",)),
        ("classifier", "checkpoints/best.npz", ("resume",)),
        ("segmenter", "weights.npz", ("segment", "export")),
        ("segmenter", "config.json", ("segment", "export")),
        ("segmenter", "threshold.json", ("segment", "export")),
        ("gan", "weights.npz", ("generate",)),
        ("gan", "config.json", ("generate",)),
    ],
)
def test_a_flipped_bit_of_a_run_is_refused_by_its_file(
    commands, runs, phantom_records, photographs, tmp_path, kind, name, names
):
    run_dir, output = shutil.copytree(runs(kind), tmp_path / "run"), tmp_path / "out"
    flip_a_bit(run_dir / name)
    photograph = sorted(photographs.iterdir())[0]
    given = {
        "evaluate": ("evaluate", "--run-dir", run_dir, "--records", phantom_records,
                     "--output", output),
        "predict": ("predict", photograph, "--run-dir", run_dir, "--output", output),
        "explain": ("explain", photograph, "--run-dir", run_dir, "--output", output),
        "export": ("export", "--run-dir", run_dir, "--output", output),
        "segment": ("segment", photograph, "--run-dir", run_dir, "--output", output),
        "generate": generate(run_dir, output),
        "resume": train(phantom_records, run_dir, "--resume", epochs=1),
    }  # fmt: skip
    before = contents(run_dir)
    for each in names:
        code, _, said = commands.run(*given[each])
        assert code == 1, said
        assert str(run_dir / name) in said.splitlines()[-1], said
        assert not output.exists()
    assert contents(run_dir) == before
