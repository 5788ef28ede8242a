"""Ensembles: means, ranks by definition and by SciPy, folds put together, and what is refused."""

import numpy as np
import pytest
from scipy.stats import rankdata

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.combine import combine, within_class_ranks
from melanoma_tf.evaluation.predictions import Predictions

NAMES = ("melanoma", "nevus")


def made(ids, first_column, names=NAMES, **fields):
    column = np.array(first_column, float)
    return Predictions(tuple(ids), np.column_stack([column, 1 - column]), names, **fields)


def test_means_are_taken_image_by_image_whatever_the_order():
    labels = np.array([0, 1, 1])
    result = combine([made("abc", [0.2, 0.4, 0.9], labels=labels), made("cab", [0.1, 0.6, 0.0])],
                     "mean")  # fmt: skip
    assert result.image_ids == ("a", "b", "c")
    np.testing.assert_allclose(result.scores[:, 0], [0.4, 0.2, 0.5])
    assert result.labels is labels


def test_ranks_are_within_a_class_and_ties_share_theirs():
    scores = np.array([[0.1, 5.0], [0.3, 5.0], [0.3, 7.0], [0.9, -1.0], [0.4, 0.0]])
    expected = [[0, 0.625], [0.375, 0.625], [0.375, 1], [1, 0], [0.75, 0.25]]
    np.testing.assert_allclose(within_class_ranks(scores), expected)
    random = np.random.default_rng(0).normal(size=(50, 3)).round(1)
    np.testing.assert_allclose(
        within_class_ranks(random), (rankdata(random, axis=0) - 1) / 49, atol=1e-15
    )
    assert within_class_ranks(np.array([[3.0, -1.0]])).tolist() == [[0.5, 0.5]]


def test_ranks_let_a_timid_member_count_as_much_as_a_bold_one():
    bold, timid = made("abc", [0.99, 0.5, 0.01]), made("abc", [0.500, 0.501, 0.502])
    assert combine([bold, timid], "mean").scores[:, 0].argmax() == 0
    np.testing.assert_allclose(combine([bold, timid], "ranks").scores[:, 0], [0.5, 0.5, 0.5])


def test_folds_are_put_one_after_the_other():
    first = made("ab", [0.1, 0.2], labels=np.array([0, 1]), groups=("p", ""))
    second = made("c", [0.3], labels=np.array([1]))
    result = combine([first, second], "folds")
    assert result.image_ids == ("a", "b", "c")
    assert result.labels.tolist() == [0, 1, 1]
    assert result.groups == ("p", "", "")
    with pytest.raises(MelanomaError, match="found more than once: a"):
        combine([first, made("a", [0.3], labels=np.array([1]))], "folds")


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(MelanomaError, match="only in the first: b; only in the other: c"):
        combine([made("ab", [0, 1]), made("ac", [0, 1])], "mean")
    with pytest.raises(MelanomaError, match="found melanoma, nevus and nevus, melanoma"):
        combine([made("a", [0]), made("a", [0], names=NAMES[::-1])], "ranks")
    with pytest.raises(MelanomaError, match="expected a combination out of mean, ranks, folds"):
        combine([made("a", [0])], "median")
    with pytest.raises(MelanomaError, match="found none"):
        combine([], "mean")
