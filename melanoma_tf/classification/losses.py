"""Losses and metrics of a classifier, from logits.

Labels are class numbers, int `(batch,)` or `(batch, 1)`, or soft labels, float
`(batch, classes)`, where images were mixed; metrics then count the largest share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from melanoma_tf.classification.settings import LOSSES
from melanoma_tf.core import addons
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras


@keras.saving.register_keras_serializable(package="melanoma_tf")
class ClassificationLoss(keras.losses.Loss):
    """Cross-entropy over the classes, focal (Lin et al. 2017) or weighted by class if asked for.

    An image's focal loss is `-sum_c w_c y_c (1 - p_c)^gamma log p_c`, where `y` are the
    smoothed soft labels; cross-entropy is that with a gamma of 0.

    Args:
        kind: `cross-entropy` or `focal`.
        focal_gamma: how much less counts what is recognised already; 0 or more.
        label_smoothing: share of the label that is spread over all classes, within [0, 1).
        class_weights: one per class, 0 or more; None for 1 each.
        options: `name` and `reduction` of `keras.losses.Loss`.

    Raises:
        MelanomaError: unknown kind, or a number out of its range.
    """

    def __init__(
        self,
        kind: str = "cross-entropy",
        focal_gamma: float = 2.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        **options: Any,
    ):
        super().__init__(**{"name": "classification_loss", **options})
        if kind not in LOSSES:
            raise MelanomaError(f"expected a loss out of {', '.join(LOSSES)}; found {kind}")
        if focal_gamma < 0:
            raise MelanomaError(f"expected a focal gamma of 0 or more; found {focal_gamma}")
        if not 0 <= label_smoothing < 1:
            raise MelanomaError(f"expected label smoothing within [0, 1); found {label_smoothing}")
        self.kind, self.focal_gamma = kind, focal_gamma
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Loss per image, float32 `(batch,)`, of labels and logits `(batch, classes)`."""
        logits = tf.cast(y_pred, tf.float32)
        targets = soft_labels(y_true, logits.shape[-1])
        smoothing = self.label_smoothing
        targets = targets * (1.0 - smoothing) + smoothing / logits.shape[-1]
        log_probability = tf.nn.log_softmax(logits)
        terms = -targets * log_probability
        if self.kind == "focal":
            # A probability of 1 has a gradient without bound where gamma is under 1.
            missing = tf.maximum(1.0 - tf.exp(log_probability), 1e-7)
            terms *= tf.pow(missing, self.focal_gamma)
        if self.class_weights is not None:
            terms *= tf.constant(self.class_weights)
        return tf.reduce_sum(terms, -1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("kind", "focal_gamma", "label_smoothing", "class_weights")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def soft_labels(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Return labels of either form as soft labels, float32 `(batch, classes)`."""
    labels = tf.convert_to_tensor(labels)
    if is_soft(labels, num_classes):
        return tf.cast(labels, tf.float32)
    return tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), num_classes)


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Weights in inverse proportion to the classes' sizes; their mean over the images is 1.

    A class without images gets 0. As scikit-learn's `class_weight="balanced"`, over the classes
    that have images.
    """
    present = sum(count > 0 for count in counts)
    return [sum(counts) / (present * count) if count else 0.0 for count in counts]


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MeanAUC(keras.metrics.AUC):
    """Mean over classes of the one-against-rest ROC AUC, from integer labels and logits.

    An approximation by 200 thresholds, to watch training by; `evaluate` computes the exact one.

    Args:
        counted: per class, whether it has examples; those without do not enter the mean.
        name: of the metric.
    """

    def __init__(self, counted: Sequence[bool], name: str = "auc"):
        weights = [float(value) for value in counted]
        super().__init__(
            name=name, multi_label=True, num_labels=len(weights), label_weights=weights
        )
        self._counted = list(counted)

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Operation | None:
        """Add labels and logits `(batch, classes)`."""
        labels = tf.one_hot(_class_numbers(y_true, y_pred), len(self._counted))
        return super().update_state(labels, tf.nn.softmax(y_pred), sample_weight)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"counted": self._counted, "name": self.name}


@keras.saving.register_keras_serializable(package="melanoma_tf")
class Accuracy(keras.metrics.Mean):
    """Share of the images whose class has the largest logit."""

    def __init__(self, name: str = "accuracy", **options: Any):
        super().__init__(name=name, **options)

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Operation | None:
        """Add labels and logits `(batch, classes)`."""
        right = tf.equal(_class_numbers(y_true, y_pred), tf.argmax(y_pred, -1))
        return super().update_state(tf.cast(right, tf.float32), sample_weight)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class BalancedAccuracy(keras.metrics.Metric):
    """Mean sensitivity of the classes, the goal metric of ISIC 2018 and 2019.

    Classes without images so far do not enter the mean; without any image it is 0. Ties go to the
    first class here; `evaluate` counts them as wrong, as the official scorers do.

    Args:
        num_classes: number of logits.
        name: of the metric.
    """

    def __init__(self, num_classes: int, name: str = "balanced_accuracy", **options: Any):
        super().__init__(name=name, **options)
        self.num_classes = num_classes
        self._right = self.add_weight("right", (num_classes,), initializer="zeros")
        self._seen = self.add_weight("seen", (num_classes,), initializer="zeros")

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add labels and logits `(batch, classes)`; weights of images are not taken."""
        labels = _class_numbers(y_true, y_pred)
        right = tf.equal(labels, tf.argmax(y_pred, -1))
        one_hot = tf.one_hot(labels, self.num_classes)
        self._seen.assign_add(tf.reduce_sum(one_hot, 0))
        self._right.assign_add(tf.reduce_sum(one_hot * tf.cast(right, tf.float32)[:, None], 0))

    def reset_state(self) -> None:
        """Forget what was added."""
        for variable in self.variables:
            variable.assign(tf.zeros_like(variable))

    def result(self) -> tf.Tensor:
        """The mean so far, in [0, 1]."""
        seen = tf.cast(self._seen > 0, tf.float32)
        sensitivities = tf.math.divide_no_nan(self._right, self._seen)
        return tf.math.divide_no_nan(tf.reduce_sum(sensitivities), tf.reduce_sum(seen))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable(package="melanoma_tf")
class CohenKappa(addons.CohenKappa):
    """Agreement of the likeliest class with the label beyond chance, Cohen 1960; 0 if undefined."""

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Add labels and logits `(batch, classes)`."""
        # Not through Addons' own handling of labels, which differs between 2 and more classes, and
        # branches on their shape, which XLA cannot compile.
        labels = _class_numbers(y_true, y_pred)
        # Here alone: one-hot labels, of which all else is made, are silent about others.
        known = tf.reduce_all((labels >= 0) & (labels < self.num_classes))
        tf.debugging.Assert(known, [f"expected labels in [0, {self.num_classes}); found", labels])
        return self.conf_mtx.assign_add(_confusion(labels, y_pred, sample_weight))

    def result(self) -> tf.Tensor:
        """The coefficient, in [-1, 1]."""
        value = super().result()
        return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MatthewsCorrelation(addons.MatthewsCorrelationCoefficient):
    """Correlation of the likeliest class with the label (Gorodkin 2004); 0 if undefined."""

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add labels and logits `(batch, classes)`."""
        self.conf_mtx.assign_add(_confusion(y_true, y_pred, sample_weight))


def classification_metrics(counted: Sequence[bool]) -> list[keras.metrics.Metric]:
    """Metrics of the training.

    Args:
        counted: per class, whether it has training examples.
    """
    return [
        Accuracy(),
        MeanAUC(counted),
        BalancedAccuracy(len(counted)),
        CohenKappa(len(counted), name="cohen_kappa"),
        MatthewsCorrelation(len(counted), name="matthews_correlation"),
    ]


def _confusion(labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Images by class, in rows, and by the class of the largest logit, float32.

    As `tf.math.confusion_matrix`, without its four checks: tracing them, for each metric and for
    training and validation, takes as long as all else of the metrics.
    """
    num_classes = logits.shape[-1]
    rows = tf.one_hot(_class_numbers(labels, logits), num_classes)
    if weights is not None:
        rows *= tf.reshape(tf.cast(weights, tf.float32), [-1, 1])
    return tf.matmul(rows, tf.one_hot(tf.argmax(logits, -1), num_classes), transpose_a=True)


def _class_numbers(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return labels of either form as class numbers, int64 `(batch,)`."""
    if is_soft(labels, logits.shape[-1]):
        return tf.argmax(labels, -1)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)


def is_soft(labels: tf.Tensor, num_classes: int) -> bool:
    """Return whether labels are soft labels, not class numbers."""
    return labels.shape.rank == 2 and labels.shape[-1] == num_classes
