"""The state that a run needs to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.training.averaging import WeightAverages
from melanoma_tf.training.checkpoints import (
    Checkpoints,
    checkpoints_of,
    reading_checkpoints,
)
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.run import HISTORY, read_history
from melanoma_tf.training.run_record import WEIGHTS
from melanoma_tf.training.weights import read_weights, write_weights

_CHECKPOINTS, _BEST = "checkpoints", "best.npz"


class RunState:
    """The state that a run needs to go on: variables, epochs, history, best weights.

    Args:
        model: compiled, under the strategy.
        run_dir: the folder to write: the run's, or a temporary one of a worker that is not the
            chief.
        job: what is trained.
        averages: of the weights.
        source: the run folder to resume from, where that is another one.
    """

    def __init__(
        self,
        model: keras.Model,
        run_dir: Path,
        job: TrainingJob,
        averages: WeightAverages,
        source: Path | None = None,
    ):
        self._model, self._run_dir, self._job = model, run_dir, job
        self._source = run_dir if source is None else source
        self.seed = job.record.settings.seed
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="finished_epochs")
        self._kept = tf.train.Checkpoint(
            model=model, epoch=self._epoch, averages=averages.variables
        )
        self._folder = run_dir / _CHECKPOINTS
        self._best_path = self._folder / _BEST
        self.history: dict[str, list[float]] = {}
        self._checkpoints: Checkpoints

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Make the folder of checkpoints, which are read and written as long as this lasts."""
        with checkpoints_of(self._kept, self._folder) as self._checkpoints:
            yield

    def restore(self, log: Callable[[str], None]) -> int:
        """Load the last whole checkpoint, if there is one; return the number of finished epochs.

        Args:
            log: told of damaged ones.

        Raises:
            MelanomaError: all are damaged, or the history tells of epochs that none has.
        """
        history = read_history(self._source)
        if not self._read_last(log):
            if any(history.values()):
                raise MelanomaError(
                    f"{self._source / _CHECKPOINTS}: expected a checkpoint of the finished epochs; "
                    "found none: begin again with --overwrite"
                )
            return 0
        epoch = int(self._epoch.numpy())
        self.history = {name: values[:epoch] for name, values in history.items()}
        return epoch

    def finish_epoch(self, logs: dict[str, float]) -> bool:
        """Keep an epoch; return whether it is the best so far. The checkpoint comes last."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        best = self._is_best()
        if best:
            write_weights(self._model, self._best_path)
        write_checked_json(self._run_dir / HISTORY, self.history)
        self._epoch.assign_add(1)
        self._checkpoints.write(int(self._epoch.numpy()))
        return best

    def out_of_patience(self) -> bool:
        """Tell whether the best epoch lies as far back as the settings wait for a better one."""
        values = self.history.get(self._job.monitor)
        patience = self._job.record.settings.patience
        if not values or not patience:
            return False
        best = int(np.argmax(values) if self._job.mode == "max" else np.argmin(values))
        return len(values) - 1 - best >= patience

    def publish_best(self, network: keras.Model) -> None:
        """Write the run's weights: those of the best epoch, into a network of no strategy.

        Equal weights give equal bytes: a calibration that belongs to them stays theirs.
        """
        read_weights(network, self._best_path)
        write_weights(network, self._run_dir / WEIGHTS)

    def _read_last(self, log: Callable[[str], None]) -> int:
        if self._source == self._run_dir:
            return self._checkpoints.read_last(log)
        folder = self._source / _CHECKPOINTS
        if not folder.is_dir():
            return 0
        with reading_checkpoints(self._kept, folder) as found:
            return found.read_last(log)

    def _is_best(self) -> bool:
        values = self.history.get(self._job.monitor)
        if not values:  # No validation: the last epoch is what there is.
            return True
        sign = 1 if self._job.mode == "max" else -1
        return all(sign * values[-1] > sign * value for value in values[:-1])
