"""Losses and overlap metrics of the segmenter."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.segmentation.settings import OVERLAPS
from melanoma_tf.training.compile_model import compile_model

# Pixels added to both sides of a soft overlap's fraction: empty against empty is then 1, and the
# gradient stays finite. Small compared to lesions of the smallest inputs (thousands of pixels).
_SMOOTH_PX = 1.0


@keras.saving.register_keras_serializable(package="melanoma_tf")
class SegmentationLoss(keras.losses.Loss):
    """Binary cross-entropy per pixel, plus optionally one minus a soft overlap per image.

    The overlap counts every image alike however small its lesion, as the challenge's index does.

    Args:
        overlap: `none`, `dice` or `jaccard`.
        label_smoothing: masks are taken as `[s / 2, 1 - s / 2]`: outlines are uncertain.
        options: `name` and `reduction` of `keras.losses.Loss`.

    Raises:
        MelanomaError: unknown overlap.
    """

    def __init__(self, overlap: str = "none", label_smoothing: float = 0.0, **options: Any):
        super().__init__(**{"name": "segmentation_loss", **options})
        if overlap not in OVERLAPS:
            raise MelanomaError(
                f"expected an overlap out of {', '.join(OVERLAPS)}; found {overlap}"
            )
        self.overlap, self.label_smoothing = overlap, label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Loss per image, `(batch,)`, of masks and probabilities `(batch, height, width, 1)`."""
        truth = tf.cast(y_true, tf.float32)
        entropy = keras.losses.binary_crossentropy(
            truth, y_pred, label_smoothing=self.label_smoothing
        )
        loss = tf.reduce_mean(entropy, axis=[1, 2])
        if self.overlap == "none":
            return loss
        return loss + 1.0 - _soft_overlap(truth, y_pred, self.overlap)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"overlap": self.overlap, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


def _soft_overlap(truth: tf.Tensor, probability: tf.Tensor, kind: str) -> tf.Tensor:
    shared = tf.reduce_sum(truth * probability, axis=[1, 2, 3])
    areas = tf.reduce_sum(truth + probability, axis=[1, 2, 3])
    if kind == "dice":
        return (2.0 * shared + _SMOOTH_PX) / (areas + _SMOOTH_PX)
    return (shared + _SMOOTH_PX) / (areas - shared + _SMOOTH_PX)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MeanOverlap(keras.metrics.Mean):
    """Mean over images of the Jaccard index or the Dice coefficient of a thresholded map.

    At the network's size and without hole filling: to watch training by. `score segmenter`
    measures finished masks.

    Args:
        kind: `jaccard` or `dice`; empty against empty is 1.
        threshold: a pixel is lesion where its probability exceeds it.
        name: of the metric.
    """

    def __init__(self, kind: str = "jaccard", threshold: float = 0.4, name: str | None = None):
        super().__init__(name=name or kind)
        self._kind, self._threshold = kind, threshold

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Operation | None:
        """Add masks and probabilities `(batch, height, width, 1)`."""
        truth = tf.cast(y_true, tf.float32)
        found = tf.cast(y_pred > self._threshold, tf.float32)
        shared = tf.reduce_sum(truth * found, axis=[1, 2, 3])
        areas = tf.reduce_sum(truth + found, axis=[1, 2, 3])
        factor, whole = (2.0, areas) if self._kind == "dice" else (1.0, areas - shared)
        overlap = tf.where(whole > 0, factor * shared / tf.maximum(whole, 1.0), 1.0)
        return super().update_state(overlap, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"kind": self._kind, "threshold": self._threshold, "name": self.name}


def compile_segmenter(
    model: keras.Model,
    *,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-4,
    overlap: str = "none",
    label_smoothing: float = 0.0,
    threshold: float = 0.4,
) -> keras.Model:
    """Give a segmenter its loss, Adam with (0.9, 0.999) and the overlap metrics.

    Args:
        model: what `build_segmenter` returns.
        learning_rate: of Adam; 1e-4 in the paper.
        overlap: see `SegmentationLoss`.
        label_smoothing: see `SegmentationLoss`.
        threshold: see `MeanOverlap`.
    """
    return compile_model(
        model,
        optimizer=keras.optimizers.Adam(learning_rate, beta_1=0.9, beta_2=0.999),
        loss=SegmentationLoss(overlap, label_smoothing),
        metrics=[MeanOverlap("jaccard", threshold), MeanOverlap("dice", threshold)],
    )
