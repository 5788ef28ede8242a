"""Loss and metric of an occlusion detector.

Truth travels to loss and metric packed into one tensor of two channels, see `pack`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.training.compile_model import compile_model
from melanoma_tf.training.schedules import Rate

# Pixels added to both sides of a soft overlap's fraction.
_SMOOTH_PX = 16.0


def pack(occluded: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Truth as the loss takes it.

    Args:
        occluded: float32 `(..., 1)`, 1 where the skin is occluded, else 0.
        counted: float32 `(..., 1)`, 0 where that is unknown: it does not count.

    Returns:
        float32 `(..., 2)`.
    """
    return tf.concat([occluded, counted], -1)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class OcclusionLoss(keras.losses.Loss):
    """Binary cross-entropy plus one minus the soft Dice coefficient, where the truth is known.

    Occlusions cover a few hundredths of an image: entropy alone would go by the skin.
    """

    def __init__(self, **options: Any):
        super().__init__(**{"name": "occlusion_loss", **options})

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Loss per image, `(batch,)`, of a packed truth and probabilities `(..., 1)`."""
        occluded, counted = tf.split(tf.cast(y_true, tf.float32), 2, -1)
        entropy = keras.losses.binary_crossentropy(occluded, y_pred) * counted[..., 0]
        pixels = tf.reduce_sum(counted, [1, 2, 3])
        mean = tf.reduce_sum(entropy, [1, 2]) / tf.maximum(pixels, 1.0)
        probability = y_pred * counted
        shared = tf.reduce_sum(occluded * probability, [1, 2, 3])
        areas = tf.reduce_sum(occluded * counted + probability, [1, 2, 3])
        return mean + 1.0 - (2.0 * shared + _SMOOTH_PX) / (areas + _SMOOTH_PX)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class OcclusionDice(keras.metrics.Mean):
    """Mean over images of the Dice coefficient of a thresholded map, where the truth is known.

    Args:
        threshold: a pixel is occluded where its probability exceeds it.
        name: of the metric.
    """

    def __init__(self, threshold: float = 0.5, name: str = "dice"):
        super().__init__(name=name)
        self._threshold = threshold

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Operation | None:
        """Add a packed truth and probabilities; images without an occlusion do not count."""
        del sample_weight
        occluded, counted = tf.split(tf.cast(y_true, tf.float32), 2, -1)
        found = tf.cast(y_pred > self._threshold, tf.float32) * counted
        shared = tf.reduce_sum(occluded * found, [1, 2, 3])
        areas = tf.reduce_sum(occluded + found, [1, 2, 3])
        has_any = tf.reduce_any(occluded > 0.5, [1, 2, 3])
        dice = 2.0 * shared / tf.maximum(areas, 1.0)
        return super().update_state(dice, tf.cast(has_any, tf.float32))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"threshold": self._threshold, "name": self.name}


def compile_detector(
    model: keras.Model,
    learning_rate: Rate = DetectorSettings.learning_rate,
) -> keras.Model:
    """Give an occlusion detector its loss, Adam and metric.

    Args:
        model: what `purification.detector.network.build_detector` returns.
        learning_rate: of Adam.
    """
    return compile_model(
        model,
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=OcclusionLoss(),
        metrics=[OcclusionDice()],
    )
