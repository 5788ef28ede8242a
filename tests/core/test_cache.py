"""The folder of local copies: bounded, and nothing in use is removed."""

import os
import subprocess
import sys

import pytest

from melanoma_tf.core import cache
from melanoma_tf.core.errors import MelanomaError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of 3,000 bytes."""
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    monkeypatch.setenv(cache.LIMIT, "3e-6")
    monkeypatch.setattr(cache, "_held", {})
    return tmp_path


def copy_of_another_process(identity, size_bytes):
    """A copy of some bytes that a process has made, and then ended."""
    code = (
        "import sys; from melanoma_tf.core import cache;"
        "folder = cache.entry('records', sys.argv[1]);"
        "(folder / 'shard').write_bytes(bytes(int(sys.argv[2]))); print(folder)"
    )
    command = [sys.executable, "-c", code, identity, str(size_bytes)]
    return cache.Path(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout[:-1]
    )


def test_the_copies_unused_for_longest_make_room(folder):
    old, new = (copy_of_another_process(name, 1_200) for name in ("old", "new"))
    os.utime(f"{old}.lock", (1, 1))
    cache.make_room(500, "s3://bucket/records")
    assert old.exists()
    cache.make_room(1_000, "s3://bucket/records")
    assert not old.exists()
    assert new.exists()


def test_what_is_in_use_or_on_its_way_out_stays():
    mine = cache.entry("records", "mine")
    (mine / "shard").write_bytes(bytes(1_200))
    leaving = cache.entry("outgoing", "leaving")
    (leaving / "shard").write_bytes(bytes(1_200))
    with pytest.raises(MelanomaError, match=r"s3://b/x: expected .* GB .* MELANOMA_TF_CACHE_GB"):
        cache.make_room(2_500, "s3://b/x")
    assert (mine / "shard").exists()
    assert (leaving / "shard").exists()


def test_a_copy_that_another_process_uses_stays():
    code = (
        "from melanoma_tf.core import cache; folder = cache.entry('records', 'x');"
        "(folder / 'shard').write_bytes(bytes(2_000)); print(folder, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        folder = cache.Path(other.stdout.readline().strip())
        with pytest.raises(MelanomaError):
            cache.make_room(2_000, "s3://b/x")
        assert (folder / "shard").exists()
        other.communicate("\n")
    cache.make_room(2_000, "s3://b/x")
    assert not folder.exists()


def test_more_than_the_drive_has_is_refused(monkeypatch):
    monkeypatch.setenv(cache.LIMIT, "1e12")
    with pytest.raises(MelanomaError, match="of free space"):
        cache.make_room(10**18, "s3://b/x")


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_is_a_positive_number(monkeypatch, text):
    monkeypatch.setenv(cache.LIMIT, text)
    with pytest.raises(MelanomaError, match="MELANOMA_TF_CACHE_GB"):
        cache.make_room(1, "x")
