"""The checkpoints of a run: the state after its last epochs, each checked when it is read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError, reason_of
from melanoma_tf.core.files import without_wildcards

_KEPT = 2
_INDEX = re.compile(r"ckpt-(\d+)\.index")
# What TensorFlow raises on damage; IndexError and RuntimeError where it reads the list of a
# checkpoint's contents.
_DAMAGE = (tf.errors.OpError, ValueError, IndexError, RuntimeError)
_UNFINISHED = re.compile(r"ckpt-\d+_temp")  # TensorFlow's name for it.


class Checkpoints:
    """The checkpoints in a folder, by the number of finished epochs.

    TensorFlow's own manager takes the name of the folder for a pattern, and begins from nothing
    when its list of checkpoints is damaged.

    Args:
        state: what is kept.
        folder: where the files are.
        named: the same folder, by a path that TensorFlow takes literally.
    """

    def __init__(self, state: tf.train.Checkpoint, folder: Path, named: Path):
        self._state, self._folder, self._named = state, folder, named

    def numbers(self) -> list[int]:
        """The checkpoints that are there, the last one first."""
        names = (_INDEX.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted((int(found[1]) for found in names if found), reverse=True)

    def write(self, number: int) -> None:
        """Write a checkpoint, and remove all but the last ones after that."""
        self._state.write(str(self._named / f"ckpt-{number}"))
        for old in self.numbers()[_KEPT:]:
            for path in sorted(self._folder.iterdir()):
                if path.name.startswith(f"ckpt-{old}."):
                    path.unlink()

    def read_last(self, log: Callable[[str], None]) -> int:
        """Read the last whole checkpoint; return its number, or 0 where there is none at all.

        Args:
            log: told of damaged ones.

        Raises:
            MelanomaError: all are damaged, or the last whole one lacks variables of the state.
        """
        numbers = self.numbers()
        for number in numbers:
            try:
                status = self._state.read(str(self._named / f"ckpt-{number}"))
                # Every variable that exists must be there: one that is not would silently keep its
                # first value.
                status.assert_existing_objects_matched()
                # Partial: an optimiser that has nothing more to do never makes its variables.
                status.expect_partial()
            except AssertionError as error:
                raise MelanomaError(
                    f"{self._folder}/ckpt-{number}: expected the state of this network; found that "
                    f"of another one, or of another Keras: {str(error).splitlines()[0]}"
                ) from None
            except _DAMAGE as error:
                is_of_tensorflow = isinstance(error, tf.errors.OpError)
                reason = reason_of(error) if is_of_tensorflow else str(error).splitlines()[0]
                log(f"warning: {self._folder}/ckpt-{number} is damaged and left out: {reason}")
                continue
            return number
        if numbers:
            raise MelanomaError(
                f"{self._folder}: expected a whole checkpoint to go on from; all {len(numbers)} "
                "are damaged: begin again with --overwrite"
            )
        return 0


@contextmanager
def checkpoints_of(state: tf.train.Checkpoint, folder: Path) -> Iterator[Checkpoints]:
    """Yield the checkpoints in a folder, which is made; they can be read as long as this lasts.

    What a killed process had not finished there is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if _UNFINISHED.fullmatch(path.name):
            shutil.rmtree(path)
    with reading_checkpoints(state, folder) as found:
        yield found


@contextmanager
def reading_checkpoints(state: tf.train.Checkpoint, folder: Path) -> Iterator[Checkpoints]:
    """Yield the checkpoints in a folder that another process may write; nothing is changed."""
    with without_wildcards(folder) as named:
        yield Checkpoints(state, folder, named)
