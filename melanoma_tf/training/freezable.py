"""Batch normalisation that can be stopped in the middle of a training."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras

_MOMENTUM = 0.95  # A short memory, since a small data set has few steps in an epoch.
_EPSILON = 1e-3


def freeze(model: keras.Model, frozen: bool) -> None:
    """Stop, or release, every layer of a model that freezes; works on every replica."""
    for layer in model.layers:
        if isinstance(layer, FreezableBatchNormalization) and layer.freezes:
            layer.frozen.assign(float(frozen))


@keras.saving.register_keras_serializable(package="melanoma_tf")
class FreezableBatchNormalization(keras.layers.Layer):
    """Batch normalisation over the global batch, with a variable that stops it.

    Once `frozen` is 1, training too uses the moving statistics, and these, the scale and the offset
    stay as they are. A model compiled once can thus change from one phase of its training to the
    next, which Keras' `trainable` does not allow.

    Args:
        freezes: whether `freeze` applies to this layer.
        options: further ones of `keras.layers.Layer`.
    """

    def __init__(self, freezes: bool = True, **options: Any):
        super().__init__(**options)
        self.freezes = freezes

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the weights."""
        shape = (input_shape[-1],)

        def kept(name: str, shape: tuple[int, ...], initializer: str) -> tf.Variable:
            return self.add_weight(
                name,
                shape,
                dtype=tf.float32,
                initializer=initializer,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
                experimental_autocast=False,
            )

        self.gamma = self.add_weight("gamma", shape, dtype=tf.float32, initializer="ones")
        self.beta = self.add_weight("beta", shape, dtype=tf.float32, initializer="zeros")
        self.moving_mean = kept("moving_mean", shape, "zeros")
        self.moving_variance = kept("moving_variance", shape, "ones")
        self.frozen = kept("frozen", (), "zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalise `(batch, height, width, channels)`."""
        mean, variance = tf.identity(self.moving_mean), tf.identity(self.moving_variance)
        gamma, beta = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
        if training:
            stopped = self.frozen > 0.5
            of_batch = _moments(tf.cast(inputs, tf.float32))
            mean, variance = (
                tf.where(stopped, kept, new) for kept, new in zip((mean, variance), of_batch)
            )
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign_add((1.0 - _MOMENTUM) * (tf.stop_gradient(now) - moving))
            gamma = tf.where(stopped, tf.stop_gradient(gamma), gamma)
            beta = tf.where(stopped, tf.stop_gradient(beta), beta)
        scale = gamma * tf.math.rsqrt(variance + _EPSILON)
        offset = beta - mean * scale
        return inputs * tf.cast(scale, inputs.dtype) + tf.cast(offset, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "freezes": self.freezes}


def _moments(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance per channel over the global batch."""
    mean = tf.reduce_mean(inputs, [0, 1, 2])
    square = tf.reduce_mean(tf.square(inputs), [0, 1, 2])
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        mean, square = replica.all_reduce(tf.distribute.ReduceOp.MEAN, [mean, square])
    return mean, tf.maximum(square - tf.square(mean), 0.0)
