"""Layers of generative networks: classes side by side, and a look at a batch as a whole."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import keras


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MinibatchDiscrimination(keras.layers.Layer):
    """How close each example is to the others of its batch, so that one repeated face shows.

    Salimans et al. 2016, Section 3.2. Within a replica.

    Args:
        kernels: number of features that are added.
        kernel_size: length of the vectors between which distances are taken.
        options: of `keras.layers.Layer`.
    """

    def __init__(self, kernels: int, kernel_size: int = 8, **options: Any):
        super().__init__(**options)
        self.kernels, self.kernel_size = kernels, kernel_size

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the projection."""
        self.projection = self.add_weight(
            name="projection",
            shape=(input_shape[-1], self.kernels * self.kernel_size),
            initializer=keras.initializers.RandomNormal(0.0, 0.02),
        )
        super().build(input_shape)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """From `(batch, channels)` to `(batch, kernels)`."""
        rows = tf.reshape(
            tf.matmul(features, tf.cast(self.projection, features.dtype)),
            [-1, self.kernels, self.kernel_size],
        )
        distances = tf.reduce_sum(tf.abs(rows[:, tf.newaxis] - rows[tf.newaxis]), -1)
        # An example's distance to itself is 0; its share of 1 is taken off.
        return tf.reduce_sum(tf.exp(-distances), 1) - 1.0

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"kernels": self.kernels, "kernel_size": self.kernel_size}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="melanoma_tf")
class StackClasses(keras.layers.Layer):
    """From one `(batch, ...)` per class to `(batch, classes, ...)`."""

    def call(self, by_class: list[tf.Tensor]) -> tf.Tensor:
        """Stack."""
        return tf.stack(by_class, axis=1)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MergeClasses(keras.layers.Layer):
    """From `(batch, classes, ...)` to `(batch * classes, ...)`, so that layers can be shared."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Merge."""
        return tf.reshape(features, [-1, *features.shape[2:]])


@keras.saving.register_keras_serializable(package="melanoma_tf")
class SplitClasses(keras.layers.Layer):
    """From `(batch * classes, 1)` to `(batch, classes)`.

    Args:
        classes: how many.
        options: of `keras.layers.Layer`.
    """

    def __init__(self, classes: int, **options: Any):
        super().__init__(**options)
        self.classes = classes

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Split."""
        return tf.reshape(logits, [-1, self.classes])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "classes": self.classes}
