"""Errors of TensorFlow in one line: the reason, wherever in the message it stands."""

import pytest
import tensorflow as tf

from melanoma_tf.core.errors import in_one_line

PLACE = '\n\nDetected at node IteratorGetNext defined at:\n  File "fit.py", line 7, in fit\n\n'
GONE = "records/train-00001-of-00002.tfrecord; No such file or directory"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (f"{GONE}\n\t [[{{{{node IteratorGetNext}}}}]] [Op:IteratorGetNext] name: ", GONE),
        (f"Graph execution error:{PLACE}{GONE}\n\t [[{{{{node IteratorGetNext}}}}]]", GONE),
        (
            f"Graph execution error:{PLACE}2 root error(s) found.\n  (0) NOT_FOUND:  {GONE}\n"
            "\t [[{{node a}}]]\n  (1) NOT_FOUND:  another\n0 successful operations.",
            GONE,
        ),
        ("Graph execution error:", "Graph execution error:"),
        ("", "NotFoundError"),
    ],
)
def test_the_reason_of_tensorflow_in_one_line(message, line):
    assert in_one_line(tf.errors.NotFoundError(None, None, message)) == line
