"""How long and how a model is trained."""

from __future__ import annotations

from dataclasses import dataclass

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.settings import TrainingSettings


@dataclass(frozen=True)
class FitSettings:
    """How `fit` trains a model.

    Attributes:
        epochs: passes over the training examples, in all.
        steps_per_epoch: batches in an epoch.
        mixed_precision: compute in float16 (on a CPU in bfloat16), keep variables in float32.
        monitor: the history's key by which the best epoch is chosen.
        mode: `max` or `min` of `monitor` is best.
        seed: of the weights and of dropout.
        average_momentum: share of the old value that a moving average of the weights keeps at
            each step; validation, the best epoch and the published model then use the average.
            0 for none.
        patience: epochs without a better `monitor` after which training stops; 0 for never.
    """

    epochs: int
    steps_per_epoch: int
    mixed_precision: bool = False
    monitor: str = "val_auc"
    mode: str = "max"
    seed: int = 0
    average_momentum: float = 0.0
    patience: int = 0

    @classmethod
    def of(
        cls, settings: TrainingSettings, steps_per_epoch: int, monitor: str, mode: str
    ) -> FitSettings:
        """What the settings of a network say of its training."""
        return cls(
            epochs=settings.epochs,
            steps_per_epoch=steps_per_epoch,
            mixed_precision=settings.mixed_precision,
            monitor=monitor,
            mode=mode,
            seed=settings.seed,
            average_momentum=settings.average_momentum,
            patience=settings.patience,
        )

    def __post_init__(self) -> None:
        if self.patience < 0:
            raise MelanomaError(f"expected a patience of 0 epochs or more; found {self.patience}")
