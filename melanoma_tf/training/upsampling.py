"""Upsampling that XLA can train."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from melanoma_tf.core.keras import keras

_FACTOR = 2


@keras.saving.register_keras_serializable(package="melanoma_tf")
class NearestUpsampling2D(keras.layers.Layer):
    """Double rows and columns by repetition, as `UpSampling2D(2)` of Keras.

    XLA has no gradient of TensorFlow's nearest neighbour: in training the gradient is written out.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From `(batch, height, width, channels)` to `(batch, 2 height, 2 width, channels)`."""
        return _doubled(inputs) if training else _repeated(inputs)

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        """The shape of the result."""
        batch, height, width, channels = tf.TensorShape(input_shape).as_list()
        doubled = [None if side is None else _FACTOR * side for side in (height, width)]
        return tf.TensorShape([batch, *doubled, channels])


def _repeated(images: tf.Tensor) -> tf.Tensor:
    return keras.backend.resize_images(images, _FACTOR, _FACTOR, "channels_last")


@tf.custom_gradient
def _doubled(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    def gradient(above: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        pieces = [shape[0], shape[1], _FACTOR, shape[2], _FACTOR, images.shape[-1]]
        return tf.reduce_sum(tf.reshape(above, pieces), [2, 4])

    return _repeated(images), gradient
