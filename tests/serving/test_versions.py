"""Version folders: the next free number, whole or absent, and only what is this tool's own."""

import shutil

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.versions import (
    check_model_folder,
    latest_version,
    new_version,
    remove_old_versions,
    version_folders,
)


def export(output):
    with new_version(output) as version:
        (version.working / "saved_model.pb").write_bytes(b"model")
    return version.published


def names(output):
    return [each.name for each in version_folders(output)]


def test_each_export_takes_the_next_number_and_the_newest_is_served(tmp_path):
    model = tmp_path / "models" / "first"
    assert [export(model).name for _ in range(10)] == [str(each) for each in range(1, 11)]
    assert latest_version(model) == model / "10"
    assert names(model) == [str(each) for each in range(1, 11)]


def test_nothing_is_seen_until_a_version_is_whole_and_nothing_stays_of_a_failure(tmp_path):
    model = tmp_path / "first"
    with new_version(model) as version:
        assert names(model) == []
        assert version.working.name.startswith(".")  # TensorFlow Serving reads numbers only.
        (version.working / "saved_model.pb").write_bytes(b"")
    with pytest.raises(RuntimeError), new_version(model):
        raise RuntimeError
    assert [each.name for each in model.iterdir()] == ["1"]
    with pytest.raises(RuntimeError), new_version(tmp_path / "second"):
        raise RuntimeError
    assert not (tmp_path / "second").exists()


def test_two_exports_at_once_get_two_numbers(tmp_path):
    model = tmp_path / "first"
    with new_version(model) as first, new_version(model) as second:
        for each, content in ((first, b"first"), (second, b"second")):
            (each.working / "saved_model.pb").write_bytes(content)
    found = {(model / name / "saved_model.pb").read_bytes() for name in names(model)}
    assert found == {b"first", b"second"}


def test_only_the_newest_versions_are_kept_and_strangers_files_never_removed(tmp_path):
    model = tmp_path / "first"
    for _ in range(4):
        export(model)
    assert remove_old_versions(model, 0) == []
    remove_old_versions(model, 2)
    assert sorted(each.name for each in model.iterdir()) == ["3", "4"]
    (model / "3" / "thesis.txt").write_text("mine")
    with pytest.raises(MelanomaError, match=r"thesis.txt. Nothing was removed"):
        remove_old_versions(model, 1)
    assert names(model) == ["3", "4"]


@pytest.mark.parametrize("name", ["photo.jpg", "1/photo.jpg", "runs/config.json"])
def test_a_folder_with_anything_else_is_refused(tmp_path, name):
    path = tmp_path / "folder" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(MelanomaError, match="expected a new folder, or a model folder"):
        check_model_folder(tmp_path / "folder")
    assert path.exists()


def test_an_output_that_is_an_input_is_refused(tmp_path):
    for output in (tmp_path, tmp_path / "run", tmp_path / "run" / "model"):
        with pytest.raises(MelanomaError, match="expected an output apart from the input"):
            check_model_folder(output, [tmp_path / "run"])


def test_what_a_killed_export_left_goes_with_the_next_one(tmp_path):
    model = tmp_path / "model"
    with new_version(model) as first:
        (first.working / "saved_model.pb").touch()
        shutil.copytree(first.working, tmp_path / "killed")
        name = first.working.name
    shutil.move(tmp_path / "killed", model / name)
    (model / f".{name}.lock").touch()
    (model / ".export.other.partial").mkdir()
    (model / ".export.other.partial" / "mine.txt").touch()
    with new_version(model) as second:
        assert not (model / name).exists()
        (second.working / "saved_model.pb").touch()
    assert {path.name for path in model.iterdir()} == {"1", "2", ".export.other.partial"}
