"""Layers of generative networks: classes side by side, minibatch discrimination, spectral norm."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MinibatchDiscrimination(keras.layers.Layer):
    """Closeness of each example to the others of its batch, which reveals repeated images.

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
        # An example's distance to itself is 0; its contribution of 1 is subtracted.
        return tf.reduce_sum(tf.exp(-distances), 1) - 1.0

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"kernels": self.kernels, "kernel_size": self.kernel_size}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="melanoma_tf")
class SpectralNormalization(keras.layers.Wrapper):
    """A convolution or dense layer whose kernel is divided by its largest singular value.

    Miyato et al. 2018, Section 2.1: one step of the power iteration with every training call. The
    layer is linear, so that its output is divided in the kernel's place. Keras' own layer writes
    into the kernel, which several replicas cannot.

    Args:
        layer: has no bias; this one adds it.
        options: of `keras.layers.Layer`.
    """

    def __init__(self, layer: keras.layers.Layer, **options: Any):
        super().__init__(layer, **options)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make bias and singular vector."""
        super().build(input_shape)
        channels = self.layer.kernel.shape[-1]
        self.bias = self.add_weight(name="bias", shape=(channels,), initializer="zeros")
        self.singular_vector = self.add_weight(
            name="singular_vector",
            shape=(1, channels),
            initializer=keras.initializers.RandomNormal(),
            trainable=False,
            dtype=tf.float32,
            experimental_autocast=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Apply the layer with the divided kernel, and add the bias."""
        kernel = tf.cast(self.layer.kernel, tf.float32)
        rows = tf.reshape(kernel, [-1, kernel.shape[-1]])
        right = tf.math.l2_normalize(self.singular_vector)
        left = tf.stop_gradient(tf.math.l2_normalize(tf.matmul(right, rows, transpose_b=True)))
        if training:
            right = tf.stop_gradient(tf.math.l2_normalize(tf.matmul(left, rows)))
            self.singular_vector.assign(right)
        largest = tf.squeeze(tf.matmul(tf.matmul(left, rows), right, transpose_b=True))
        result = self.layer(features)
        return result / tf.cast(largest, result.dtype) + tf.cast(self.bias, result.dtype)


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
        classes: the number of classes.
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
