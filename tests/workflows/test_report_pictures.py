"""Which test images the pictures of the report show."""

import numpy as np

from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.workflows.report_pictures import most_confident


def test_the_most_confident_decision_of_each_kind():
    scores = np.array([
        [0.90, 0.10, 0.00], [0.80, 0.10, 0.10], [0.95, 0.05, 0.00],
        [0.30, 0.60, 0.10], [0.10, 0.70, 0.20], [0.40, 0.40, 0.20],
    ])  # fmt: skip
    labels = np.array([0, 0, 1, 0, 1, 1])
    names = ("melanoma", "nevus", "seborrheic_keratosis")
    predictions = Predictions(tuple("abcdef"), scores, names, labels)
    assert most_confident(predictions) == [
        ["a", "c", "d"],
        ["e", "d", "c"],  # f, a tie, is wrong too, but with a larger score than c.
        [None, None, None],
    ]
