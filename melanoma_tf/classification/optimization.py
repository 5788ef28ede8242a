"""Optimisation of a classifier: optimiser, learning rate by epoch, loss, a frozen start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from melanoma_tf.classification.losses import (
    ClassificationLoss,
    balanced_weights,
    classification_metrics,
)
from melanoma_tf.classification.settings import OptimizationSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.compile_model import compile_model
from melanoma_tf.training.schedules import cosine

_DECAY_PER_STEP = 10.0


def compile_classifier(
    model: keras.Model,
    settings: OptimizationSettings,
    *,
    counts: Sequence[int],
    steps_per_epoch: int,
    epochs: int,
) -> keras.Model:
    """Give a classifier its loss, optimiser and metrics.

    Args:
        model: what `backbones.classifier.build_classifier` returns.
        settings: see `OptimizationSettings`.
        counts: training images by class; metrics leave out the classes that have none.
        steps_per_epoch: batches in an epoch.
        epochs: in all.

    Returns:
        The model to train: a `FrozenStart` of the same layers where epochs are to be frozen, else
        `model` itself.

    Raises:
        MelanomaError: no epoch is left for the rise, or for what follows the frozen ones.
    """
    for name in ("warm_up_epochs", "frozen_epochs"):
        if getattr(settings, name) >= epochs:
            raise MelanomaError(
                f"expected fewer {name} than epochs, {epochs}; found {getattr(settings, name)}"
            )
    if settings.frozen_epochs:
        model = FrozenStart(model.inputs, model.outputs, name=model.name)
        model.frozen_steps = settings.frozen_epochs * steps_per_epoch
    return compile_model(
        model,
        optimizer=_optimizer(settings, steps_per_epoch, epochs),
        loss=ClassificationLoss(
            settings.loss,
            settings.focal_gamma,
            settings.label_smoothing,
            balanced_weights(counts) if settings.class_weights == "balanced" else None,
        ),
        metrics=classification_metrics([count > 0 for count in counts]),
    )


def _optimizer(
    settings: OptimizationSettings, steps_per_epoch: int, epochs: int
) -> keras.optimizers.Optimizer:
    rate = _learning_rate(settings, steps_per_epoch, epochs)
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    decay = settings.weight_decay or None
    if settings.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _learning_rate(
    settings: OptimizationSettings, steps_per_epoch: int, epochs: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    if settings.schedule == "step":
        falls = range(settings.step_epochs, epochs, settings.step_epochs)
        rates = [settings.learning_rate / _DECAY_PER_STEP**k for k in range(len(falls) + 1)]
        if len(rates) == 1:
            return settings.learning_rate
        # The step that an epoch begins with has the new rate already: a boundary is inclusive.
        return schedules.PiecewiseConstantDecay([e * steps_per_epoch - 1 for e in falls], rates)
    if settings.schedule == "cosine":
        rise = settings.warm_up_epochs * steps_per_epoch
        return cosine(settings.learning_rate, epochs * steps_per_epoch, rise)
    return settings.learning_rate


@keras.saving.register_keras_serializable(package="melanoma_tf")
class FrozenStart(keras.Model):
    """A classifier of which only the layers behind the backbone are trained at first.

    While it is frozen the backbone also keeps its batch normalisation's statistics. How many steps
    that lasts is read off the optimiser, so that a resumed training goes on in the right stage.

    Attributes:
        frozen_steps: steps before the backbone is trained as well.
    """

    frozen_steps: int = 0

    def make_train_function(self, force: bool = False) -> Callable[[Iterator], dict[str, Any]]:
        """One function for each stage, since each trains other variables."""
        frozen = super().make_train_function(force=True)
        whole = super().make_train_function(force=True)
        step = int(self.optimizer.iterations.numpy())

        def train_function(iterator: Iterator) -> dict[str, Any]:
            nonlocal step
            # Read when a function is traced, which happens at its first call.
            self._frozen = step < self.frozen_steps
            step += 1
            return (frozen if self._frozen else whole)(iterator)

        self.train_function = train_function
        return train_function

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A step on images and labels, of the last layers or of all."""
        images, labels = data
        backbone, *behind = self.layers[1:]
        with tf.GradientTape() as tape:
            features = backbone(images, training=not self._frozen)
            for layer in behind:
                features = layer(features, training=True)
            loss = self.compute_loss(images, labels, features)
        variables = self.trainable_variables
        if self._frozen:
            variables = [weight for layer in behind for weight in layer.trainable_variables]
        self.optimizer.minimize(loss, variables, tape=tape)
        return self.compute_metrics(images, labels, features, None)
