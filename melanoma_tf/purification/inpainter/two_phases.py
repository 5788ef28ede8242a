"""The optimiser of the data purification network: Adam first, then gradient descent."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras


@keras.saving.register_keras_serializable(package="melanoma_tf")
class AdamThenSGD(keras.optimizers.Optimizer):
    """Adam for a number of steps, then gradient descent with momentum.

    Bisla et al. 2019, Section 6.1. One optimiser, so that one `fit`, with one set of checkpoints,
    goes through both phases.

    Args:
        adam_steps: length of the first phase.
        learning_rate: a number or a schedule, over both phases; see `TwoRates`.
        beta_1, beta_2: of Adam.
        momentum: of gradient descent.
        epsilon: of Adam.
        name: of the optimiser.
        options: further ones of `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        adam_steps: int,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 2e-4,
        *,
        beta_1: float = 0.5,
        beta_2: float = 0.99,
        momentum: float = 0.9,
        epsilon: float = 1e-7,
        name: str = "adam_then_sgd",
        **options: Any,
    ):
        super().__init__(name=name, **options)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.adam_steps, self.beta_1, self.beta_2 = adam_steps, beta_1, beta_2
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, var_list: list[tf.Variable]) -> None:
        """Make the moments and the velocities."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        for name in ("m", "v", "velocity"):
            slots = [self.add_variable_from_reference(one, name) for one in var_list]
            setattr(self, f"_{name}", slots)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Move a variable."""
        gradient = tf.convert_to_tensor(gradient)
        index = self._index_dict[self._var_key(variable)]
        m, v, velocity = self._m[index], self._v[index], self._velocity[index]
        rate = tf.cast(self.learning_rate, variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        first = self.iterations < self.adam_steps
        m.assign(tf.where(first, self.beta_1 * m + (1.0 - self.beta_1) * gradient, m))
        v.assign(tf.where(first, self.beta_2 * v + (1.0 - self.beta_2) * tf.square(gradient), v))
        unbiased = tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        adam = -rate * unbiased * m / (tf.sqrt(v) + self.epsilon)
        velocity.assign(tf.where(first, velocity, self.momentum * velocity - rate * gradient))
        variable.assign_add(tf.where(first, adam, velocity))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "adam_steps": self.adam_steps,
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable(package="melanoma_tf")
class TwoRates(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate for either phase; the first may rise shortly and then fall like a cosine.

    Args:
        steps: of the first phase.
        first, second: the rates.
        cosine: whether the first falls to a hundredth.
    """

    def __init__(self, steps: int, first: float, second: float, cosine: bool = False):
        super().__init__()
        self.steps, self.first, self.second, self.cosine = steps, first, second, cosine

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at a step, float32."""
        step = tf.cast(step, tf.float32)
        first = tf.constant(self.first, tf.float32)
        if self.cosine:
            done = tf.clip_by_value(step / max(1, self.steps), 0.0, 1.0)
            rise = tf.clip_by_value(done / 0.03, 0.05, 1.0)
            first *= rise * (0.01 + 0.99 * 0.5 * (1.0 + tf.cos(3.14159265 * done)))
        return tf.where(step < self.steps, first, self.second)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("steps", "first", "second", "cosine")
        return {name: getattr(self, name) for name in names}
