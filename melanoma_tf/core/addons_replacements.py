"""What this package uses of TensorFlow Addons, for a TensorFlow on which Addons does not load.

Each function and class has Addons' name and arguments, and its result within rounding.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras


def dense_image_warp(images: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Displace pixels: the result at `p` is the image at `p - flow[p]`, bilinearly.

    Args:
        images: float32 `(batch, height, width, channels)`, of at least 2 rows and columns; beyond
            an image its border is drawn out.
        flow: float32 `(batch, height, width, 2)`, in pixels along rows and columns.

    Returns:
        float32 of the images' shape.
    """
    shape = tf.shape(images)
    height, width = shape[1], shape[2]
    rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    points = tf.cast(tf.stack([rows, columns], -1), flow.dtype) - flow
    # The last row and column have no neighbour below or to the right: they are reached as the far
    # end of the last pair.
    last = tf.cast(tf.stack([height - 2, width - 2]), flow.dtype)
    corner = tf.clip_by_value(tf.floor(points), 0.0, last)
    down, right = tf.split(tf.clip_by_value(points - corner, 0.0, 1.0), 2, -1)
    row, column = tf.unstack(tf.cast(corner, tf.int32), axis=-1)
    # One gather of flat indices is faster than `gather_nd`.
    pixels = tf.reshape(images, [-1, shape[3]])
    index = tf.range(shape[0])[:, tf.newaxis, tf.newaxis] * height * width + row * width + column

    def row_of_points(first: tf.Tensor) -> tf.Tensor:
        left = tf.gather(pixels, first)
        return left + right * (tf.gather(pixels, first + 1) - left)

    upper, lower = row_of_points(index), row_of_points(index + width)
    return upper + down * (lower - upper)


class _ConfusionMatrixMetric(keras.metrics.Metric):
    """A metric of the confusion matrix, whose rows are labels and columns predictions."""

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.conf_mtx = self.add_weight(
            "conf_mtx", (num_classes, num_classes), initializer="zeros", dtype=tf.float32
        )

    def _update_confusion_matrix(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None
    ) -> tf.Tensor:
        """Add class numbers `(batch,)`."""
        return self.conf_mtx.assign_add(
            tf.math.confusion_matrix(
                y_true, y_pred, self.num_classes, weights=sample_weight, dtype=tf.float32
            )
        )

    def reset_state(self) -> None:
        """Forget what was added."""
        self.conf_mtx.assign(tf.zeros_like(self.conf_mtx))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}


class CohenKappa(_ConfusionMatrixMetric):
    """Agreement beyond chance, Cohen 1960, without weights; 1 - 0/0 (NaN) for a single class."""

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Add one-hot labels and scores `(batch, classes)`."""
        return self._update_confusion_matrix(
            tf.argmax(y_true, -1), tf.argmax(y_pred, -1), sample_weight
        )

    def result(self) -> tf.Tensor:
        """The coefficient, in [-1, 1]; 0 before anything was added."""
        labels, predictions = tf.reduce_sum(self.conf_mtx, 1), tf.reduce_sum(self.conf_mtx, 0)
        total = tf.reduce_sum(self.conf_mtx)
        # Sums of what lies off the diagonal: 1 minus the diagonal would lose digits.
        disagrees = 1.0 - tf.eye(self.num_classes)
        disagreement = tf.reduce_sum(disagrees * self.conf_mtx) / total
        by_chance = labels[:, tf.newaxis] * predictions / total**2
        expected = tf.reduce_sum(disagrees * by_chance)
        return tf.where(total > 0, 1.0 - disagreement / expected, 0.0)


class MatthewsCorrelationCoefficient(_ConfusionMatrixMetric):
    """Correlation of labels and predictions of several classes (Gorodkin 2004)."""

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add one-hot labels and scores `(batch, classes)`."""
        self._update_confusion_matrix(tf.argmax(y_true, -1), tf.argmax(y_pred, -1), sample_weight)

    def result(self) -> tf.Tensor:
        """The coefficient, in [-1, 1]; 0 where it is undefined."""
        labels, predictions = tf.reduce_sum(self.conf_mtx, 1), tf.reduce_sum(self.conf_mtx, 0)
        total = tf.reduce_sum(self.conf_mtx)
        covariance = tf.linalg.trace(self.conf_mtx) * total - tf.tensordot(labels, predictions, 1)
        variances = (total**2 - tf.tensordot(labels, labels, 1)) * (
            total**2 - tf.tensordot(predictions, predictions, 1)
        )
        value = tf.math.divide_no_nan(covariance, tf.sqrt(variances))
        # Rounding can make a variance of zero negative.
        return tf.where(tf.math.is_nan(value), 0.0, value)
