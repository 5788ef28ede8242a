"""A checkpoint is read in full or refused."""

import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.checkpoints import checkpoints_of


def state(**values):
    return tf.train.Checkpoint(**{name: tf.Variable(value) for name, value in values.items()})


def test_the_last_checkpoint_gives_its_values(tmp_path):
    written, read = state(kernel=3.0, bias=1.0), state(kernel=0.0, bias=0.0)
    with checkpoints_of(written, tmp_path / "c") as checkpoints:
        checkpoints.write(1)
        written.kernel.assign(4.0)
        checkpoints.write(2)
    with checkpoints_of(read, tmp_path / "c") as checkpoints:
        assert checkpoints.read_last(print) == 2
    assert (read.kernel.numpy(), read.bias.numpy()) == (4.0, 1.0)


def test_values_that_nothing_asks_for_are_no_error(tmp_path):
    with checkpoints_of(state(kernel=3.0, bias=1.0), tmp_path / "c") as checkpoints:
        checkpoints.write(1)
    with checkpoints_of(state(kernel=0.0), tmp_path / "c") as checkpoints:
        assert checkpoints.read_last(print) == 1


def test_a_checkpoint_without_a_variable_of_the_state_is_refused(tmp_path):
    with checkpoints_of(state(kernel=3.0), tmp_path / "c") as checkpoints:
        checkpoints.write(1)
    other = state(kernel=0.0, bias=7.0)
    refused = pytest.raises(MelanomaError, match="expected the state of this network")
    with checkpoints_of(other, tmp_path / "c") as checkpoints, refused:
        checkpoints.read_last(print)
    assert other.bias.numpy() == 7.0
