"""A checkpoint is read in full or refused."""

import random

import pytest
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.checkpoints import checkpoints_of
from tests.damage import bits_of, each_with_a_flipped_bit


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


def test_a_flipped_bit_never_changes_what_is_read(tmp_path):
    """Of both files: the damaged one is left out, and the one before it is read."""
    written = state(kernel=[3.0] * 9, bias=1.0)
    with checkpoints_of(written, tmp_path / "c") as checkpoints:
        checkpoints.write(1)
        written.bias.assign(2.0)
        checkpoints.write(2)
    choose, told = random.Random(0), []
    for path in sorted((tmp_path / "c").glob("ckpt-2.*")):
        bits = bits_of(path)
        # Where an index says how long its parts are, TensorFlow raises IndexError.
        ends = bits[-355:-345] if path.suffix == ".index" else []
        for _ in each_with_a_flipped_bit(path, [*choose.sample(bits, 40), *ends]):
            read = state(kernel=[0.0] * 9, bias=0.0)
            with checkpoints_of(read, tmp_path / "c") as checkpoints:
                number = checkpoints.read_last(told.append)
            assert (read.kernel.numpy() == 3.0).all()
            assert read.bias.numpy() == number
    assert told
    assert all(f"{tmp_path / 'c'}/ckpt-2 is damaged" in line and "\n" not in line for line in told)
