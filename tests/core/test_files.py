import json
import os

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import (
    CHECKSUM,
    read_checked_json,
    read_json,
    write_atomically,
    write_checked_json,
    write_json,
)
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.core.ownership import MARKER
from tests.damage import bits_of, each_with_a_flipped_bit, read_or_refused


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), published_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with published_folder(tmp_path / "out") as folder:
        (folder / "whole").write_text("x")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_old_folder_stays_until_the_new_one_is_whole(tmp_path):
    with published_folder(tmp_path / "out") as folder:
        (folder / "old").write_text("x")
    with pytest.raises(MelanomaError, match="exists"), published_folder(tmp_path / "out"):
        pass
    with pytest.raises(OSError), published_folder(tmp_path / "out", overwrite=True):  # noqa: PT011
        raise OSError
    assert (tmp_path / "out" / "old").exists()
    with published_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "new").write_text("x")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"new", MARKER}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_are_written_aside_and_json_has_no_nan(tmp_path):
    write_atomically(tmp_path / "sub" / "a.txt", "text")
    assert (tmp_path / "sub" / "a.txt").read_text() == "text"
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()
    write_json(tmp_path / "a.json", {"x": 1})
    assert (
        json.loads((tmp_path / "a.json").read_text()) == {"x": 1} == read_json(tmp_path / "a.json")
    )


def test_unreadable_json_is_one_line(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(MelanomaError, match=r"a\.json: expected JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(MelanomaError, match="does not exist"):
        read_json(tmp_path / "b.json")
    os.mkfifo(tmp_path / "c.json")
    with pytest.raises(MelanomaError, match=r"c\.json; found a pipe or a device"):
        read_json(tmp_path / "c.json")


def test_a_flipped_bit_of_checked_json_never_changes_what_is_read(tmp_path):
    """It is refused, or lies in the name of the checksum."""
    path, written = tmp_path / "a.json", {"threshold": 0.35, "names": ("a", "b"), "at": {2: None}}
    write_checked_json(path, written)
    expected, refusals = read_checked_json(path), 0
    assert expected == {"threshold": 0.35, "names": ["a", "b"], "at": {"2": None}}
    for _ in each_with_a_flipped_bit(path, bits_of(path)):
        found, refused = read_or_refused(read_checked_json, path)
        refusals += refused is not None
        assert refused or {name: found.get(name) for name in expected} == expected
    assert refusals > 0.9 * len(bits_of(path))


def test_an_edit_is_read_once_the_checksum_is_gone(tmp_path):
    path = tmp_path / "a.json"
    write_checked_json(path, {"path": "old"})
    edited = json.loads(path.read_text().replace("old", "new"))
    write_json(path, edited)
    with pytest.raises(MelanomaError, match=r"a\.json: .*to keep an edit .* remove its checksum"):
        read_checked_json(path)
    del edited[CHECKSUM]
    write_json(path, edited)
    assert read_checked_json(path) == {"path": "new"}
