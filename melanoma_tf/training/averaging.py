"""A moving average of a model's weights, which validates better than the weights themselves."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.keras import keras


class WeightAverages(keras.callbacks.Callback):
    """Keeps an exponential moving average of all weights, and lends it to the model.

    During an epoch's steps the model has its own weights; from the validation until the next
    epoch begins it has their average, which is then validated and saved. Callbacks that save come
    after this one.

    Args:
        model: a built model; call under its strategy.
        momentum: share of the old average that a step keeps, within [0, 1); 0 switches it off.
            The first steps keep less, so that the random start is soon forgotten.

    Attributes:
        variables: what a checkpoint must hold besides the model.
    """

    def __init__(self, model: keras.Model, momentum: float):
        super().__init__()
        self._momentum = momentum
        self._weights = model.weights if momentum else []
        self.variables = tf.Module()
        self.variables.others = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self.variables.lent = tf.Variable(False, trainable=False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Give the model its own weights back."""
        self._lend(False)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the averages a step."""
        if not self._weights:
            return
        step = float(self.model.optimizer.iterations.numpy())
        kept = min(self._momentum, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.variables.others, self._weights):
            average.assign(kept * average + (1.0 - kept) * weight)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Lend the averages for validation."""
        self._lend(True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Lend the averages where there was no validation."""
        self._lend(True)

    def _lend(self, lent: bool) -> None:
        if bool(self.variables.lent.numpy()) == lent:
            return
        self.variables.lent.assign(lent)
        for other, weight in zip(self.variables.others, self._weights):
            value = tf.identity(weight)
            weight.assign(other)
            other.assign(value)
