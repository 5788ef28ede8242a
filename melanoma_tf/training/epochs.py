"""Callbacks at the beginning and the end of an epoch."""

from __future__ import annotations

import math
import time
from typing import Callable

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.state import RunState


def _reseed(model: keras.Model, seed: int, epoch: int, worker: int) -> None:
    """Let the random layers of an epoch depend on its number, not on how training got there.

    Layers made with `force_generator=True` have a generator of their own, which no checkpoint
    holds: a resumed training would otherwise drop other features than one without the break.
    """
    for index, layer in enumerate(model._flatten_layers(include_self=False)):
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            # The chief has the seeds of a training without other workers.
            entropy = [seed, epoch, index, *([worker] if worker else [])]
            draw = np.random.SeedSequence(entropy).generate_state(1)
            generator.reset_from_seed(int(draw[0]))


class Epochs(keras.callbacks.Callback):
    """Adds speed and learning rate to the logs, reports a line, and keeps the state."""

    def __init__(
        self, state: RunState, log: Callable[[str], None], examples_per_step: int, worker: int = 0
    ):
        super().__init__()
        self._worker = worker
        self._state, self._log, self._examples = state, log, examples_per_step
        self._started = self._trained = 0.0
        self._steps = self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Seed the random layers, start the clock."""
        _reseed(self.model, self._state.seed, epoch, self._worker)
        self._started, self._steps, self._epoch = time.perf_counter(), 0, epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count the step; stop at once where the loss is no number, and nothing more is kept."""
        self._steps += 1
        self._trained = time.perf_counter()
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            kept = "The state of the epoch before is kept: l" if self._epoch else "L"
            raise MelanomaError(
                f"the loss is {loss} in step {batch + 1} of epoch {self._epoch + 1}; expected a "
                f"finite one. {kept}ower --learning-rate"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the epoch, report it, and stop where patience has run out."""
        logs = {} if logs is None else logs
        for name, value in logs.items():
            if not math.isfinite(value):
                raise MelanomaError(
                    f"{name} is {value} in epoch {epoch + 1}; expected a finite number. "
                    "The state of the epoch before is kept: lower --learning-rate"
                )
        # Into the shared logs, so that TensorBoard, whose turn comes next, draws them as well.
        logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        logs["images_per_second"] = self._steps * self._examples / (self._trained - self._started)
        best = self._state.finish_epoch(logs)
        self.model.stop_training = self._state.out_of_patience()
        line = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        self._log(f"epoch {epoch + 1}/{self.params['epochs']}  {line}{'  (best)' if best else ''}")
        if self.model.stop_training:
            self._log("no better epoch for as long as --patience waits: training stops")
