"""The time that training steps wait for their next batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_tf.core.keras import keras

# A first step traces its functions, and those after it fill buffers.
_WARM_UP_STEPS = 3


class InputWait(keras.callbacks.Callback):
    """Measures the share of a step that is spent waiting for input, in the steps of a `fit`.

    The batches must come through `watch`. Their wait is the time from the request of a batch until
    it is there; with several replicas, it is that of the thread that hands batches to the devices.

    Args:
        log: takes one line when the training ends.
        warm_up: steps that are not counted.

    Attributes:
        steps: steps that were measured.
        seconds: of a mean step.
        waiting: the fraction of it, in [0, 1], that waits for input.

    Example:
        >>> wait = InputWait(lambda line: None, warm_up=0)
        >>> batches = wait.watch(tf.data.Dataset.from_tensors(tf.ones([2, 3])).repeat())
        >>> tuple(next(iter(batches)).shape)
        (2, 3)
    """

    def __init__(self, log: Callable[[str], None], warm_up: int = _WARM_UP_STEPS):
        super().__init__()
        self._log, self._warm_up = log, warm_up
        self._waits: list[float] = []
        self._ended: list[float] = []
        self._begun = 0.0
        self.steps, self.seconds, self.waiting = 0, 0.0, 0.0

    def watch(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches, whose waits are measured."""

        def asked(number: tf.Tensor) -> tf.Tensor:
            del number
            return tf.numpy_function(time.perf_counter, [], tf.float64, stateful=True)

        def delivered(begin: tf.Tensor, batch: Any) -> Any:
            noted = tf.numpy_function(self._note, [begin], tf.bool, stateful=True)
            with tf.control_dependencies([noted]):
                return tf.nest.map_structure(tf.identity, batch)

        # A zip asks its sources in order: the clock first, then the batches.
        clock = tf.data.Dataset.range(tf.int64.max).map(asked)
        timed = tf.data.Dataset.zip((clock, batches)).map(delivered)
        options = tf.data.Options()
        # A buffer behind the clock would be filled before a batch is asked for.
        options.experimental_optimization.inject_prefetch = False
        return timed.with_options(options)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock: what lies between two epochs is no step."""
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Take the time of a step."""
        now = time.perf_counter()
        self._ended.append(now - self._begun)
        self._begun = now

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Say the result."""
        if len(self._ended) <= self._warm_up:
            self._log(
                f"waiting for input: not measured in {len(self._ended)} steps; expected more than "
                f"{self._warm_up}"
            )
            return
        seconds = self._ended[self._warm_up :]
        waits = self._waits[self._warm_up : len(self._ended)]
        self.steps, self.seconds = len(seconds), float(np.mean(seconds))
        self.waiting = min(1.0, float(np.sum(waits) / np.sum(seconds)))
        self._log(
            f"waiting for input: {self.waiting:.1%} of a step of {1000 * self.seconds:.1f} ms "
            f"(mean of {self.steps} steps)"
        )

    def _note(self, begin: float) -> bool:
        self._waits.append(time.perf_counter() - float(begin))
        return True
