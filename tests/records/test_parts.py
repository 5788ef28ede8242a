"""Parts of a training's input: no file twice, no number twice, and each resumes by itself."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records import schema, stream
from melanoma_tf.records.parts import Part
from melanoma_tf.records.record_set import RecordSet


@given(st.integers(1, 40), st.integers(1, 12))
def test_every_file_is_in_one_part(files, parts):
    paths = [f"train-{index}" for index in range(files)]
    if files < parts:
        with pytest.raises(MelanomaError, match=f"at least {parts} training shards"):
            Part(0, parts).files(paths, "records")
        return
    dealt = [Part(index, parts).files(paths, "records") for index in range(parts)]
    assert sorted(itertools.chain(*dealt)) == sorted(paths)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@given(st.integers(1, 12), st.integers(0, 50))
def test_no_two_examples_share_a_number(parts, places):
    numbers = [
        Part(index, parts).number(place) for index in range(parts) for place in range(places)
    ]
    assert sorted(numbers) == list(range(parts * places))


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    assert Part(1, 3).share(12) == 4
    with pytest.raises(MelanomaError, match="that 3 parts of the input can share equally; found 8"):
        Part(1, 3).share(8)


@pytest.fixture(scope="module")
def records(phantom_records):
    return RecordSet.read(phantom_records)


def keys_of(path):
    stored = tf.data.TFRecordDataset(str(path))
    return {schema.parse(each, ("image/key",))["image/key"].numpy() for each in stored}


def taken(records, part, count, first=0, window=4096, **options):
    """The numbers and keys of some examples of a part."""
    found = stream.shuffled_stream(
        records.shard_paths("train"), records.count(split="train"),
        seed=5, window=window, first_example=first, part=part, **options,
    )  # fmt: skip
    pairs = list(found.take(count))
    keys = [schema.parse(each, ("image/key",))["image/key"].numpy() for _, each in pairs]
    return [int(number) for number, _ in pairs], keys


@pytest.mark.parametrize("window", [4096, 5])
def test_a_part_sees_each_record_of_its_own_files_once_a_pass(records, window):
    paths = records.shard_paths("train")
    for index, path in enumerate(paths):
        own = keys_of(path)
        numbers, keys = taken(records, Part(index, len(paths)), len(own), window=window)
        assert set(keys) == own
        assert numbers == [index + len(paths) * place for place in range(len(own))]


def test_a_part_resumes_at_the_very_next_example(records):
    part = Part(1, 2)
    numbers, keys = taken(records, part, 40)
    assert taken(records, part, 17, first=23) == (numbers[23:], keys[23:])


def test_the_records_of_a_part_are_counted_through_the_filter(records):
    """A wrong count would repeat some records before others were seen."""

    def is_melanoma(serialized):
        return tf.equal(schema.parse(serialized, ("label",))["label"], 0)

    part, path = Part(0, 2), records.shard_paths("train")[0]
    stored = tf.data.TFRecordDataset(str(path)).filter(is_melanoma)
    own = [schema.parse(each, ("image/key",))["image/key"].numpy() for each in stored]
    _, keys = taken(records, part, 3 * len(own), keep=is_melanoma)
    for begin in range(0, len(keys), len(own)):
        assert sorted(keys[begin : begin + len(own)]) == sorted(own)


def test_a_part_without_examples_is_refused(records):
    with pytest.raises(MelanomaError, match="expected examples to train on in each part"):
        taken(records, Part(0, 2), 1, keep=lambda serialized: tf.constant(False))


def test_no_augmentation_is_drawn_twice(records):
    """Two parts draw by other numbers, so that their random views differ."""
    from melanoma_tf.core.random_streams import Stream, example_seed

    drawn = [
        float(Stream("test").uniform(example_seed(1, tf.constant(number, tf.int64)), []))
        for index in range(2)
        for number in taken(records, Part(index, 2), 6)[0]
    ]
    assert len(np.unique(drawn)) == 12
