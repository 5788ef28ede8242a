"""Nearest real images by shard and merged, against one search through all of them."""

import dataclasses

import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation import nearest_on_beam
from melanoma_tf.generation.data import real_at, real_blocks
from melanoma_tf.generation.nearest_neighbours import nearest
from melanoma_tf.generation.nearest_on_beam import BeamSearch
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.shards import Sharding
from melanoma_tf.records.stream import read_shards, reading_order
from melanoma_tf.records.writer import Description, write_records

SIZE_PX = 16


def here(task, items, folder, options):
    """Stands for the workers: the same task, in this process."""
    return (list(task(item)) for item in items)


@pytest.fixture(scope="module")
def records(phantom_records, tmp_path_factory):
    """Two folders: nine uneven shards, pictures that occur twice, and copies that are not real."""
    examples = list(read_examples(phantom_records))[:44]
    rows = []
    for index, example in enumerate(examples):
        fields = {"key": f"I{index}", "split": "train"}
        if index % 5 == 1:
            fields.update(origin="purified", parent=f"I{index}")
        if index % 7 == 3:
            fields.update(image=examples[index // 2].image)
        rows.append(dataclasses.replace(example, **fields))
    description = Description.of_copy(read_manifest(phantom_records))
    folders = []
    for name, part, shards in (("one", rows[:30], 2), ("two", rows[30:], 7)):
        folders.append(tmp_path_factory.mktemp("mixed") / name)
        sharding = Sharding(shards=shards, expected={"train": len(part)})
        write_records(part, folders[-1], description, sharding=sharding)
    return RecordSet.read(folders)


@pytest.fixture
def search(records, tmp_path, monkeypatch):
    monkeypatch.setattr(nearest_on_beam, "map_on_beam", here)
    return BeamSearch(records, tmp_path / "out" / "generated", ())


def read_all(records):
    blocks = list(real_blocks(records, SIZE_PX)())
    return np.concatenate([block for block, _ in blocks]), [
        key for _, keys in blocks for key in keys
    ]


def assert_equal(found, expected):
    for name in ("index", "distance", "mirrored"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_shards_and_a_whole_stream_give_the_same(records, search, tmp_path):
    real, _ = read_all(records)
    random = np.random.default_rng(0)
    new = random.integers(0, 256, (5, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    images = np.concatenate([new, real[::3], real[::4, :, ::-1]])
    expected = nearest(images, [real])
    assert (expected.distance == 0.0).sum() > 15
    assert_equal(search(images), expected)
    own = np.arange(len(real))
    assert_equal(search(real, own), nearest(real, [real], own_places=own))
    assert not list((tmp_path / "out").iterdir())


def test_places_name_the_images(records):
    real, keys = read_all(records)
    found = {place: (key, image) for place, key, image in real_at(records, SIZE_PX, {0, 7, 20})}
    assert sorted(found) == [0, 7, 20]
    for place, (key, image) in found.items():
        assert key == keys[place]
        np.testing.assert_array_equal(image, real[place])


@pytest.mark.parametrize("counts", [[3], [5, 1, 4], [1, 9, 2, 2, 7, 1, 3, 4, 2, 6, 5, 1]])
def test_the_reading_order_is_that_of_the_shards(tmp_path, counts):
    import tensorflow as tf

    paths, number = [], 0
    for index, count in enumerate(counts):
        paths.append(tmp_path / f"{index}")
        with tf.io.TFRecordWriter(str(paths[-1])) as writer:
            for _ in range(count):
                writer.write(str(number).encode())
                number += 1
    read = [int(each) for each in read_shards(paths).as_numpy_iterator()]
    assert reading_order(counts).tolist() == read


@pytest.mark.parametrize("which", range(4))
def test_what_is_no_result_is_refused(search, monkeypatch, which):
    images = np.zeros((2, SIZE_PX, SIZE_PX, 3), np.uint8)
    wrong = [
        lambda parts: parts[:3],
        lambda parts: [*parts[:2], parts[2][:-1], parts[3]],
        lambda parts: [parts[0], np.array([0, 99]).tobytes(), *parts[2:]],
        lambda parts: [*parts[:2], np.array([0.1, np.nan]).tobytes(), parts[3]],
    ][which]
    monkeypatch.setattr(
        nearest_on_beam, "map_on_beam", lambda *given: (wrong(parts) for parts in here(*given))
    )
    with pytest.raises(MelanomaError, match="expected the nearest real images; found"):
        search(images)
