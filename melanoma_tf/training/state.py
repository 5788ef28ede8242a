"""The state that a run needs to go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.core.keras import keras
from melanoma_tf.training.averaging import WeightAverages
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.run import HISTORY
from melanoma_tf.training.run_record import WEIGHTS
from melanoma_tf.training.weights import read_weights, write_weights

_BEST = "best.npz"


class RunState:
    """The state that a run needs to go on: variables, epochs, history, best weights."""

    def __init__(
        self,
        model: keras.Model,
        run_dir: Path,
        job: TrainingJob,
        averages: WeightAverages,
    ):
        self._model, self._run_dir, self._job = model, run_dir, job
        self.seed = job.record.settings.seed
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="finished_epochs")
        self._checkpoint = tf.train.Checkpoint(
            model=model, epoch=self._epoch, averages=averages.variables
        )
        folder = run_dir / "checkpoints"
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._best_path = folder / _BEST
        self.history: dict[str, list[float]] = {}

    def restore(self) -> int:
        """Load the last checkpoint, if there is one; return the number of finished epochs."""
        latest = self._manager.latest_checkpoint
        if latest is None:
            return 0
        # Partial: an optimiser that has nothing more to do never makes its variables.
        self._checkpoint.restore(latest).expect_partial()
        epoch = int(self._epoch.numpy())
        history = read_json(self._run_dir / HISTORY)
        self.history = {name: values[:epoch] for name, values in history.items()}
        return epoch

    def finish_epoch(self, logs: dict[str, float]) -> bool:
        """Keep an epoch; return whether it is the best so far. The checkpoint comes last."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        best = self._is_best()
        if best:
            write_weights(self._model, self._best_path)
        write_json(self._run_dir / HISTORY, self.history)
        self._epoch.assign_add(1)
        self._manager.save()
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

    def _is_best(self) -> bool:
        values = self.history.get(self._job.monitor)
        if not values:  # No validation: the last epoch is what there is.
            return True
        sign = 1 if self._job.mode == "max" else -1
        return all(sign * values[-1] > sign * value for value in values[:-1])
