"""How a classifier is fitted: optimiser, learning rate by epoch, loss, a frozen start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow import keras

from melanoma_tf.classification.losses import (
    LOSSES,
    ClassificationLoss,
    balanced_weights,
    classification_metrics,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.schedules import cosine

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "step", "cosine")
CLASS_WEIGHTS = ("none", "balanced")
_DECAY_PER_STEP = 10.0


@dataclass(frozen=True)
class OptimizationSettings:
    """How a classifier is fitted.

    Attributes:
        optimizer: `adam`, `adamw`, or `sgd` with a momentum of 0.9 (Bisla et al. 2019).
        learning_rate: the highest, where a schedule changes it.
        weight_decay: decoupled, of `adamw` and `sgd`; biases and batch normalisation have none.
        schedule: `constant`; `step`: divided by 10 every `step_epochs` epochs, as in the paper;
            `cosine`: down to 0 at the last epoch.
        step_epochs: see `schedule`.
        warm_up_epochs: epochs in which a cosine schedule first rises.
        loss: `cross-entropy` or `focal`.
        focal_gamma, label_smoothing: see `classification.losses.ClassificationLoss`.
        class_weights: `balanced` weights the loss in inverse proportion to the classes' sizes.
        frozen_epochs: epochs in which only the new last layer is trained, before all of it is.

    Raises:
        MelanomaError: an unknown name, a number out of its range, or two that do not go together.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    step_epochs: int = 30
    warm_up_epochs: int = 0
    loss: str = "cross-entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    frozen_epochs: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("loss", LOSSES),
            ("class_weights", CLASS_WEIGHTS),
        ):
            found = getattr(self, name)
            if found not in choices:
                raise MelanomaError(f"expected {name} out of {', '.join(choices)}; found {found}")
        for name in ("weight_decay", "warm_up_epochs", "frozen_epochs"):
            if getattr(self, name) < 0:
                raise MelanomaError(f"expected {name} of 0 or more; found {getattr(self, name)}")
        if self.learning_rate <= 0 or self.step_epochs < 1:
            raise MelanomaError(
                "expected a learning_rate above 0 and step_epochs of at least 1; "
                f"found {self.learning_rate} and {self.step_epochs}"
            )
        if self.weight_decay and self.optimizer == "adam":
            raise MelanomaError("expected optimizer adamw or sgd with weight_decay; found adam")
        if self.warm_up_epochs and self.schedule != "cosine":
            raise MelanomaError(
                f"expected schedule cosine with warm_up_epochs; found {self.schedule}"
            )


def compile_classifier(
    model: keras.Model,
    fitting: OptimizationSettings,
    *,
    counts: Sequence[int],
    steps_per_epoch: int,
    epochs: int,
) -> keras.Model:
    """Give a classifier its loss, optimiser and metrics.

    Args:
        model: what `backbones.classifier.build_classifier` returns.
        fitting: see `OptimizationSettings`.
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
        if getattr(fitting, name) >= epochs:
            raise MelanomaError(
                f"expected fewer {name} than epochs, {epochs}; found {getattr(fitting, name)}"
            )
    if fitting.frozen_epochs:
        model = FrozenStart(model.inputs, model.outputs, name=model.name)
        model.frozen_steps = fitting.frozen_epochs * steps_per_epoch
    model.compile(
        optimizer=_optimizer(fitting, steps_per_epoch, epochs),
        loss=ClassificationLoss(
            fitting.loss,
            fitting.focal_gamma,
            fitting.label_smoothing,
            balanced_weights(counts) if fitting.class_weights == "balanced" else None,
        ),
        metrics=classification_metrics([count > 0 for count in counts]),
    )
    return model


def _optimizer(
    fitting: OptimizationSettings, steps_per_epoch: int, epochs: int
) -> keras.optimizers.Optimizer:
    rate = _learning_rate(fitting, steps_per_epoch, epochs)
    if fitting.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    decay = fitting.weight_decay or None
    if fitting.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=fitting.weight_decay)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def _learning_rate(
    fitting: OptimizationSettings, steps_per_epoch: int, epochs: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    if fitting.schedule == "step":
        falls = range(fitting.step_epochs, epochs, fitting.step_epochs)
        rates = [fitting.learning_rate / _DECAY_PER_STEP**k for k in range(len(falls) + 1)]
        if len(rates) == 1:
            return fitting.learning_rate
        # The step that an epoch begins with has the new rate already: a boundary is inclusive.
        return schedules.PiecewiseConstantDecay([e * steps_per_epoch - 1 for e in falls], rates)
    if fitting.schedule == "cosine":
        rise = fitting.warm_up_epochs * steps_per_epoch
        return cosine(fitting.learning_rate, epochs * steps_per_epoch, rise)
    return fitting.learning_rate


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
        # All slots exist from the beginning, whichever variables are trained first.
        self.optimizer.build(self.trainable_variables)
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
