"""What stands in `predictions.csv`: exact scores, and errors that name what is wrong."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.predictions import Predictions, read_predictions, write_predictions

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


@pytest.fixture
def saved(tmp_path):
    def save(text):
        path = tmp_path / "predictions.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return save


@given(
    scores=arrays(
        np.float64, (4, 3), elements=st.floats(allow_nan=False, allow_infinity=False, width=64)
    ),
    labels=st.lists(st.integers(-1, 2), min_size=4, max_size=4),
    ids=st.lists(
        st.text("aB_7, \"'é-", min_size=1).map(str.strip).filter(bool),
        min_size=4, max_size=4, unique=True,
    ),
)  # fmt: skip
def test_every_float_and_id_comes_back_as_it_was(tmp_path_factory, scores, labels, ids):
    path = tmp_path_factory.mktemp("round") / "predictions.csv"
    groups = ("p1", "", "p1", "p2")
    written = Predictions(tuple(ids), scores, NAMES, np.array(labels), groups)
    write_predictions(path, written)
    read = read_predictions(path, NAMES)
    np.testing.assert_array_equal(read.scores, scores)
    assert read.image_ids == written.image_ids
    assert read.labels.tolist() == labels
    assert read.groups == groups


def test_file_holds_the_contracts_columns(tmp_path):
    path = tmp_path / "predictions.csv"
    scores = np.array([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]])
    write_predictions(path, Predictions(("a", "b"), scores, NAMES, np.array([2, -1])))
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["image_id", *NAMES, "label"],
        ["a", "0.1", "0.2", "0.7", "seborrheic_keratosis"],
        ["b", repr(1 / 3), repr(1 / 3), repr(1 / 3), ""],
    ]


def test_columns_are_put_into_the_order_asked_for(saved):
    path = saved("image_id,nevus,melanoma,label\na,0.9,0.1,nevus\n")
    read = read_predictions(path, ("melanoma", "nevus"))
    assert read.scores.tolist() == [[0.1, 0.9]]
    assert read.labels.tolist() == [1]
    assert read_predictions(path).class_names == ("nevus", "melanoma")


def test_challenge_submission_is_read_under_our_names(saved):
    read = read_predictions(saved("image,MEL,NV\nISIC_1,0.25,0.75\n"))
    assert read.class_names == ("melanoma", "nevus")
    assert read.image_ids == ("ISIC_1",)
    assert read.labels is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "header"),
        ("image_id,melanoma,nevus\n", "row"),
        ("melanoma,nevus\n0.1,0.2\n", "image_id"),
        ("image_id,melanoma\na,0.1\n", "missing: nevus"),
        ("image_id,melanoma,nevus,wart\na,0.1,0.2,0.3\n", "unknown: wart"),
        ("image_id,melanoma,nevus,nevus\na,0.1,0.2,0.3\n", "nevus"),
        ("image_id,melanoma,nevus,NV\na,0.1,0.2,0.3\n", "nevus"),
        ("image_id,melanoma,nevus\na,0.1,0.2\nb,0,1\na,0.3,0.4\n", "more than once: a"),
        ("image_id,melanoma,nevus\na\x01b,0.1,0.2\n", "control characters; found 'a\\x01b'"),
        ("image_id,melanoma,nevus\na\0b,0.1,0.2\n", "NUL in line 2"),
        ("image_id,melanoma,nevus\na,0.1,nan\n", "a"),
        ("image_id,melanoma,nevus\nb,0.1,inf\n", "b"),
        ("image_id,melanoma,nevus\na,0.1,\n", "'nevus' of a"),
        ("image_id,melanoma,nevus\na,0.1,high\n", "'high'"),
        ("image_id,melanoma,nevus\na,0.1\n", "line 2"),
        ("image_id,melanoma,nevus,label\na,0.1,0.2,mole\n", "'mole'"),
        ("image_id,melanoma,nevus\n,0.1,0.2\n", "image id"),
        ('image_id,melanoma,nevus\n"a,0.1,0.2\n', "CSV"),
    ],
)
def test_broken_file_is_named_in_one_line(saved, text, named):
    path = saved(text)
    with pytest.raises(MelanomaError) as error:
        read_predictions(path, ("melanoma", "nevus"))
    message = str(error.value)
    assert named in message
    assert str(path) in message
    assert "\n" not in message


def test_missing_and_binary_files_are_errors(tmp_path):
    with pytest.raises(MelanomaError, match="does not exist"):
        read_predictions(tmp_path / "nowhere.csv")
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(MelanomaError, match="expected a CSV file"):
        read_predictions(tmp_path / "image.csv")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(MelanomaError, match="shape"):
        Predictions(("a",), np.zeros((2, 3)), NAMES)
    with pytest.raises(MelanomaError, match="labels"):
        Predictions(("a",), np.zeros((1, 3)), NAMES, np.array([3]))
