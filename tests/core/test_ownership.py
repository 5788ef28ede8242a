"""Nothing of the user's is ever deleted: strangers' folders, inputs, runs with no successor yet."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.core.ownership import MARKER, foreign_files, is_marked, refuse_inputs

TRAIN = ["--backbone", "small", "--weights", "none", "--image-size", "32", "--epochs", "1",
         "--batch-size", "8", "--augment", "none"]  # fmt: skip


def melanoma_tf(*arguments):
    """Run a command in this process; return its exit code and what it printed."""
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def replace(folder):
    """Publish an empty folder in the place of another."""
    with published_folder(folder, overwrite=True):
        pass


def contents(folder):
    """Every file below a folder with its bytes; links are not followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs below a folder of other work."""
    folder = tmp_path / "work" / "photos"
    folder.mkdir(parents=True)
    (tmp_path / "work" / "thesis.txt").write_text("years")
    noise = np.random.default_rng(0).integers(0, 255, (2, 40, 50, 3), np.uint8)
    for index, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f"p{index}.png")
    return folder


@pytest.fixture
def run_copy(tmp_path, trained_run):
    return shutil.copytree(trained_run, tmp_path / "run")


def test_a_marker_names_what_the_tool_made(tmp_path):
    with published_folder(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a[1]*.png").write_text("x")
    assert is_marked(tmp_path / "out")
    assert foreign_files(tmp_path / "out") == []
    (tmp_path / "out" / "sub" / "a1.png").write_text("mine")
    (tmp_path / "out" / ".DS_Store").write_text("left by a file manager")
    assert foreign_files(tmp_path / "out") == ["sub/a1.png"]
    with (
        pytest.raises(MelanomaError, match=r"found 1 others, as sub/a1\.png"),
        published_folder(tmp_path / "out", overwrite=True),
    ):
        pass


@pytest.mark.parametrize("marker", ["", "{}", '{"format": "another tool"}', "[]"])
def test_a_folder_without_a_valid_marker_stays(tmp_path, marker):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    if marker:
        (tmp_path / "out" / MARKER).write_text(marker)
    with (
        pytest.raises(MelanomaError, match="Nothing was removed"),
        published_folder(tmp_path / "out", overwrite=True),
    ):
        pass
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years"


def test_a_marker_of_a_later_version_is_refused(tmp_path):
    with published_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("x")
    marker = json.loads((tmp_path / "out" / MARKER).read_text())
    (tmp_path / "out" / MARKER).write_text(json.dumps({**marker, "version": 2}))
    with (
        pytest.raises(MelanomaError, match="expected version 1 of the marker"),
        published_folder(tmp_path / "out", overwrite=True),
    ):
        pass
    assert (tmp_path / "out" / "a").exists()


def test_inputs_are_recognised_through_links(tmp_path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for output in ("data", "link", "data/sub/new", "link/sub", "."):
        with pytest.raises(MelanomaError, match="apart from the input"):
            refuse_inputs(tmp_path / output, [tmp_path / "link"])
    refuse_inputs(tmp_path / "data-2", [tmp_path / "data"])
    refuse_inputs(tmp_path / "out", [tmp_path / "data", tmp_path / "absent"])


def test_an_output_that_is_a_link_keeps_the_link(tmp_path):
    with published_folder(tmp_path / "real") as folder:
        (folder / "old").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with published_folder(tmp_path / "link", overwrite=True) as folder:
        (folder / "new").write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert list(contents(tmp_path / "real")) == ["new"]


def test_training_leaves_a_strangers_folder_alone(tmp_path, phantom_records):
    (tmp_path / "p" / "thesis").mkdir(parents=True)
    (tmp_path / "p" / "config.json").write_text("{}")
    (tmp_path / "p" / "thesis" / "a.txt").write_text("x")
    for flags in ([], ["--overwrite"]):
        code, said = melanoma_tf(
            "train", "classifier", "--records", phantom_records, "--run-dir", tmp_path / "p",
            *TRAIN, *flags,
        )  # fmt: skip
        assert code == 1
        assert "expected a folder that melanoma-tf made" in said
    assert (tmp_path / "p" / "thesis" / "a.txt").read_text() == "x"


def test_a_run_stays_until_its_successor_has_finished(run_copy, phantom_records, tiny_backbone):
    before = contents(run_copy)
    train = ["train", "classifier", "--records", phantom_records, "--run-dir", run_copy, *TRAIN]
    code, said = melanoma_tf(*train, "--overwrite", "--learning-rate", "1e38")
    assert code == 1
    assert "the loss is" in said
    assert contents(run_copy) == before
    code, said = melanoma_tf(*train, "--overwrite", "--seed", "5")
    assert code == 0, said
    assert json.loads((run_copy / "config.json").read_text())["settings"]["seed"] == 5
    assert (run_copy / "calibration.json").is_file()
    assert not run_copy.with_name("run.new").exists()


def test_a_file_of_the_user_in_a_run_stops_its_replacement(run_copy, phantom_records):
    (run_copy / "notes.txt").write_text("mine")
    code, said = melanoma_tf(
        "train", "classifier", "--records", phantom_records, "--run-dir", run_copy, *TRAIN,
        "--overwrite",
    )  # fmt: skip
    assert code == 1
    assert "as notes.txt" in said
    assert (run_copy / "weights.npz").is_file()


def _commands(photos, records, run):
    """Every command that takes an output folder: arguments without it, its option, its input."""
    made = [
        ("segment", photos), ("purify", photos, "--segmenter", "none"),
        ("build-records", "--add", f"folder={photos}", "--taxonomy", "melanoma"),
    ]  # fmt: skip
    yield from ((command, "--output", photos) for command in made)
    for command in (("segment", records), ("purify", records, "--segmenter", "none")):
        yield command, "--output", records
    yield ("export", "--run-dir", run), "--output", run
    yield ("explain", "--run-dir", run), "--output", run
    yield ("explain", photos, "--run-dir", run), "--output", photos
    yield ("generate", "--run-dir", run, "--count", 1, "--records", records), "--output", records
    yield ("evaluate", "--run-dir", run, "--records", records), "--output", records
    for kind in ("segmenter", "inpainter", "occlusion-detector", "coupled-gan"):
        yield ("train", kind, "--records", records, "--epochs", 1), "--run-dir", records
    yield ("train", "gan", "--class", "melanoma", "--records", records), "--run-dir", records
    yield ("train", "classifier", "--records", records, *TRAIN), "--run-dir", records


def test_no_command_writes_over_its_input(tmp_path, photos, phantom_records, run_copy):
    records = shutil.copytree(phantom_records, tmp_path / "data" / "records")
    (photos / "nevus").mkdir()
    for path in photos.glob("*.png"):
        shutil.copy(path, photos / "nevus")
    before = contents(tmp_path)
    (tmp_path / "links").mkdir()
    for command, option, source in _commands(photos, records, run_copy):
        link = tmp_path / "links" / source.name
        if not link.is_symlink():
            link.symlink_to(source)
        for output in (source, link, source.parent, source / "new"):
            code, said = melanoma_tf(*command, option, output, "--overwrite")
            assert code in (1, 2), (command, output, said)
            assert said.strip().splitlines()[-1].startswith("Error: "), said
    assert contents(tmp_path) == {**before, **contents(tmp_path / "links")}


def test_a_score_file_is_never_written_over_what_is_scored(tmp_path):
    rows = "image_id,melanoma,nevus,label\na,0.9,0.1,melanoma\nb,0.2,0.8,nevus\n"
    (tmp_path / "p.csv").write_text(rows)
    path = tmp_path / "p.csv"
    for command in (("score", "classifier", path), ("compare", path, path)):
        code, said = melanoma_tf(*command, "--json", path, "--overwrite")
        assert code == 1
        assert "apart from the input" in said
    assert path.read_text() == rows
