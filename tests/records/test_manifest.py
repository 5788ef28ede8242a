import dataclasses
import json

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.records.manifest import (
    Count,
    Manifest,
    Shard,
    read_manifest,
    shard_paths,
    write_manifest,
)

MANIFEST = Manifest(
    taxonomy="made",
    class_names=("melanoma", "nevus"),
    counts=(
        Count("test", "nevus", "a", "real", 1),
        Count("train", "melanoma", "a", "real", 2),
        Count("train", "nevus", "a", "real", 4),
        Count("train", "nevus", "b", "generated", 8),
    ),
    shards=(
        Shard("train-00000-of-00001.tfrecord", "train", 14, 5, "00"),
        Shard("test-00000-of-00001.tfrecord", "test", 1, 5, "00"),
    ),
    settings={"image_size": 32},
    sources={"a": {"licence": "CC0-1.0", "attribution": "us"}},
    skipped=({"key": "K", "file": "K.jpg", "reason": "broken"},),
)


@pytest.fixture
def folder(tmp_path):
    for shard in MANIFEST.shards:
        (tmp_path / shard.name).write_bytes(b"12345")
    write_manifest(tmp_path, MANIFEST)
    return tmp_path


def rewrite(folder, **changes):
    payload = read_checked_json(folder / "manifest.json")
    (folder / "manifest.json").write_text(json.dumps({**payload, **changes}))


def test_it_comes_back_as_it_was_written(folder):
    assert read_manifest(folder) == MANIFEST


@pytest.mark.parametrize(
    ("cells", "count"),
    [
        ({}, 15),
        ({"split": "train"}, 14),
        ({"class_name": "nevus"}, 13),
        ({"split": "train", "class_name": "nevus", "origin": "real"}, 4),
        ({"source": "b"}, 8),
        ({"split": "validation"}, 0),
    ],
)
def test_counts_add_up_over_what_is_not_asked(cells, count):
    assert MANIFEST.count(**cells) == count


def test_shards_of_a_split_and_a_split_that_is_not_there(folder):
    assert MANIFEST.splits() == ("train", "test")
    assert shard_paths(folder, MANIFEST, "test") == [folder / "test-00000-of-00001.tfrecord"]
    with pytest.raises(MelanomaError, match="split 'validation'; it has: train, test"):
        shard_paths(folder, MANIFEST, "validation")


def test_unfinished_and_foreign_folders_are_refused(folder, tmp_path):
    with pytest.raises(MelanomaError, match="does not exist"):
        read_manifest(tmp_path / "absent")
    rewrite(folder, schema_version=99)
    with pytest.raises(MelanomaError, match="schema_version 1, found 99"):
        read_manifest(folder)
    rewrite(folder, schema_version=1, counts=[{"split": "train"}])
    with pytest.raises(MelanomaError, match=r"counts: expected split, .* found no class_name"):
        read_manifest(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(MelanomaError, match="expected JSON"):
        read_manifest(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(MelanomaError, match="did not finish"):
        read_manifest(folder)


def test_a_shard_that_is_gone_is_named(folder):
    more = (*MANIFEST.shards, Shard("train-00001-of-00002.tfrecord", "train", 1, 5, "00"))
    write_manifest(folder, dataclasses.replace(MANIFEST, shards=more))
    with pytest.raises(MelanomaError, match="train-00001-of-00002"):
        read_manifest(folder)
