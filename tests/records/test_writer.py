import dataclasses
import hashlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.manifest import Count, read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.schema import Example
from melanoma_tf.records.shards import Sharding
from melanoma_tf.records.writer import Description, write_records

NAMES = ("melanoma", "nevus")


def example(index, **fields):
    values = {
        "image": b"x" * 100, "image_format": "png", "height": 1, "width": 1, "mask": b"",
        "key": f"K{index}", "label": index % 2, "label_text": NAMES[index % 2],
        "source": "made", "split": "train", "age": 40.0,
    }  # fmt: skip
    return Example(**{**values, **fields})


def write(examples, output, **options):
    sources = {"made": {"licence": "CC0-1.0", "attribution": "us"}}
    description = Description("made", NAMES, {"made": 1}, sources)
    return write_records(examples, output, description, **options)


def test_what_is_written_comes_back_and_the_manifest_agrees(tmp_path):
    examples = [example(index) for index in range(5)]
    examples.append(example(5, split="test", origin="purified", parent="K5"))
    manifest = write(examples, tmp_path / "out")
    assert list(read_examples(tmp_path / "out")) == examples
    assert list(read_examples(tmp_path / "out", "test")) == examples[-1:]
    assert read_manifest(tmp_path / "out") == manifest
    assert manifest.counts == (
        Count("test", "nevus", "made", "purified", 1),
        Count("train", "melanoma", "made", "real", 3),
        Count("train", "nevus", "made", "real", 2),
    )
    for shard in manifest.shards:
        content = (tmp_path / "out" / shard.name).read_bytes()
        assert shard.sha256 == hashlib.sha256(content).hexdigest()
        assert shard.size_bytes == len(content)
    assert [shard.name for shard in manifest.shards] == [
        "train-00000-of-00001.tfrecord", "test-00000-of-00001.tfrecord",
    ]  # fmt: skip


def test_shards_by_number_are_of_equal_counts(tmp_path):
    manifest = write(
        (example(index) for index in range(10)),
        tmp_path / "out",
        sharding=Sharding(shards=4, expected={"train": 10}),
    )
    assert [shard.count for shard in manifest.shards] == [2, 3, 2, 3]
    paths = [str(tmp_path / "out" / shard.name) for shard in manifest.shards]
    assert paths[3].endswith("train-00003-of-00004.tfrecord")
    assert sum(1 for _ in tf.data.TFRecordDataset(paths)) == 10


@given(total=st.integers(1, 500), shards=st.integers(1, 40))
def test_numbered_shards_differ_by_one_at_most(total, shards):
    sharding = Sharding(shards=shards, expected={"train": total})
    counts = [0]
    for written in range(1, total + 1):
        counts[-1] += 1
        if written < total and sharding.is_full("train", len(counts) - 1, written, 0):
            counts.append(0)
    assert len(counts) == min(shards, total)
    assert max(counts) - min(counts) <= 1


def test_shards_by_size_close_at_the_limit(tmp_path):
    sharding = Sharding(shard_bytes=1000)
    manifest = write((example(i) for i in range(20)), tmp_path / "out", sharding=sharding)
    *full, _last = manifest.shards
    one = manifest.shards[0].size_bytes / manifest.shards[0].count
    assert full
    assert all(1000 <= shard.size_bytes < 1000 + one + 1 for shard in full)
    assert sum(shard.count for shard in manifest.shards) == 20


def test_a_stream_that_fails_leaves_the_old_folder_as_it_was(tmp_path):
    write([example(0)], tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").read_bytes()

    def failing():
        yield example(1)
        raise RuntimeError("the disk of the source went away")

    with pytest.raises(RuntimeError, match="went away"):
        write(failing(), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_existing_folders_need_overwrite(tmp_path):
    write([example(0)], tmp_path / "out")
    with pytest.raises(MelanomaError, match="--overwrite"):
        write([example(1)], tmp_path / "out")
    write([example(1), example(2)], tmp_path / "out", overwrite=True)
    assert read_manifest(tmp_path / "out").count() == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": 2}, "found 2 'melanoma'"),
        ({"label": 1}, "found 1 'melanoma'"),
        ({"split": "dev"}, "split"),
        ({"origin": "dreamt"}, "dreamt"),
    ],
)
def test_examples_that_do_not_fit_are_refused(tmp_path, fields, message):
    with pytest.raises(MelanomaError, match=message):
        write([dataclasses.replace(example(0), **fields)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_stream_is_refused(tmp_path):
    with pytest.raises(MelanomaError, match="expected an example to write; found none"):
        write([], tmp_path / "out")


def test_numbers_keep_their_type_in_the_file(tmp_path):
    """An age is a float even where it is whole, so that the graph can parse it."""
    from melanoma_tf.records.schema import parse

    manifest = write([example(0, age=45.0)], tmp_path / "out")
    path = str(tmp_path / "out" / manifest.shards[0].name)
    features = parse(next(iter(tf.data.TFRecordDataset(path))))
    assert features["meta/age"].numpy() == np.float32(45)
