import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma_tf.records.schema import FEATURES, Example, deserialize, parse, serialize

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXAMPLES = st.builds(
    Example,
    image=st.binary(max_size=50),
    image_format=st.sampled_from(["jpeg", "png"]),
    height=st.integers(1, 2**31),
    width=st.integers(1, 2**31),
    key=TEXT,
    mask=st.binary(max_size=50),
    label=st.integers(0, 100),
    label_text=TEXT,
    source=TEXT,
    split=TEXT,
    lesion_id=TEXT,
    patient_id=TEXT,
    age=st.floats(width=32),
    sex=TEXT,
    site=TEXT,
    parent=TEXT,
)


@given(example=EXAMPLES)
def test_every_value_comes_back(example):
    found = deserialize(serialize(example))
    if math.isnan(example.age):
        assert math.isnan(found.age)
        # From Python 3.13 on no NaN equals another in a dataclass, not even itself.
        found, example = (dataclasses.replace(each, age=0.0) for each in (found, example))
    assert found == example


@settings(max_examples=20)
@given(examples=st.lists(EXAMPLES, min_size=1, max_size=3))
def test_the_graph_parses_what_was_written(examples):
    serialized = [serialize(example) for example in examples]
    batch = parse(tf.constant(serialized))
    assert batch.keys() == FEATURES.keys()
    for index, example in enumerate(examples):
        single = parse(tf.constant(serialized[index]))
        for features in ({name: values[index] for name, values in batch.items()}, single):
            assert features["image/encoded"].numpy() == example.image
            assert features["mask/encoded"].numpy() == example.mask
            assert features["image/key"].numpy().decode() == example.key
            assert features["label"].numpy() == example.label
            assert features["patient/id"].numpy().decode() == example.patient_id
            np.testing.assert_equal(features["meta/age"].numpy(), np.float32(example.age))


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="serialised Example"):
        deserialize(b"\xff\xff nothing")
    other = tf.train.Example(features=tf.train.Features(feature={}))
    with pytest.raises(ValueError, match="expected one value in feature 'image/encoded', found 0"):
        deserialize(other.SerializeToString())
