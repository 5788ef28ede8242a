"""Settings of the classifier and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS
from melanoma_tf.backbones.settings import NetworkSettings
from melanoma_tf.classification.expansion_plan import (
    EXPANSION_PLANS,
    ORIGINS,
    ExpansionPlan,
    expansion_plan_named,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, group, positive, setting
from melanoma_tf.training.settings import TrainingSettings

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "step", "cosine")
LOSSES = ("cross-entropy", "focal")
CLASS_WEIGHTS = ("none", "balanced")
BALANCES = ("none", "batch")
PURIFY = ("none", "test", "train", "both")
PURIFY_METHODS = ("classical", "network")


@dataclass(frozen=True)
class OptimizationSettings(Settings):
    """Optimizer, learning rate by epoch, loss and frozen start.

    Attributes:
        optimizer: `sgd` has a momentum of 0.9 (Bisla et al. 2019).
        learning_rate: the highest, where a schedule changes it.
        weight_decay: decoupled, of `adamw` and `sgd`; biases and batch normalisation have none.
        schedule: `step` divides the rate by 10 every `step_epochs` epochs, as in the paper;
            `cosine` lowers it to 0 at the last epoch.
        step_epochs, warm_up_epochs: see `schedule`.
        loss, focal_gamma, label_smoothing: see `classification.losses.ClassificationLoss`.
        class_weights: `balanced` weights the loss in inverse proportion to the classes' sizes.
        frozen_epochs: epochs in which only the new last layer is trained, before all of it is.
    """

    optimizer: str = setting(
        "adam", "Optimizer; sgd has a momentum of 0.9.", choices=OPTIMIZERS, group="Optimization"
    )
    learning_rate: float = positive(
        1e-3, "Learning rate; the highest, where a schedule changes it.", group="Optimization"
    )
    weight_decay: float = setting(
        0.0, "Decoupled weight decay of adamw and sgd.", minimum=0, group="Optimization"
    )
    schedule: str = setting(
        "constant",
        "Learning rate by epoch. step: divided by 10 every --step-epochs; cosine: decay to 0.",
        choices=SCHEDULES,
        group="Optimization",
    )
    step_epochs: int = setting(
        30, "Epochs between the steps of the step schedule.", minimum=1, group="Optimization"
    )
    warm_up_epochs: int = setting(
        0, "Warm-up epochs of the cosine schedule.", minimum=0, group="Optimization"
    )
    loss: str = setting("cross-entropy", "Loss.", choices=LOSSES, group="Optimization")
    focal_gamma: float = setting(
        2.0, "Focusing parameter gamma of the focal loss.", minimum=0, group="Optimization"
    )
    label_smoothing: float = setting(
        0.0,
        "Fraction of each label that is spread over all classes.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        group="Optimization",
    )
    class_weights: str = setting(
        "none",
        "balanced: weight the loss in inverse proportion to the classes' sizes.",
        choices=CLASS_WEIGHTS,
        group="Optimization",
    )
    frozen_epochs: int = setting(
        0,
        "Epochs in which only the new last layer is trained, before the whole network is.",
        minimum=0,
        group="Optimization",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight_decay and self.optimizer == "adam":
            raise MelanomaError("expected optimizer adamw or sgd with weight_decay; found adam")
        if self.warm_up_epochs and self.schedule != "cosine":
            raise MelanomaError(
                f"expected schedule cosine with warm_up_epochs; found {self.schedule}"
            )


@dataclass(frozen=True)
class BatchSettings(Settings):
    """The sampling of training images; `classification.sampling` makes the stream.

    Attributes:
        origins: only images of these; () for all.
        expansion: name of an expansion plan (`classification.expansion_plan`): an epoch then holds
            every image in the views of the plan, in place of random crops and flips.
        balance: `batch` draws equally many of each class into every mini-batch (Bisla et al. 2019,
            Section 6.3): a class is used up before any image of it is seen again, so that images
            of scarce classes are seen more often. `none` sees every image equally often.
        generated_fraction: with balanced batches, the largest fraction of generated images among
            those of a class, in expectation; a class that has fewer is seen as it is. None sets
            no limit.
    """

    origins: tuple[str, ...] = setting(
        (),
        "Train only on images of this origin; repeat for several.",
        choices=ORIGINS,
        option="--origin",
        shown_default="all",
        group="Data",
    )
    expansion: str = setting(
        "none",
        "Expansion plan: an epoch holds every image in the views that `melanoma-tf plan` counts, "
        "in place of random crops and flips.",
        choices=("none", *EXPANSION_PLANS),
        group="Balance",
    )
    balance: str = setting(
        "none",
        "batch: equally many images of each class in every mini-batch.",
        choices=BALANCES,
        group="Balance",
    )
    generated_fraction: Optional[float] = setting(
        None,
        "With --balance batch: largest fraction of generated images in each class, as 0.26.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        shown_default="no limit",
        group="Balance",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.plan is not None and self.balance != "none":
            raise MelanomaError(
                "expected an expansion or balanced batches; found both: an expansion plan already "
                "says how often an image is seen"
            )
        if self.generated_fraction is not None and self.balance != "batch":
            raise MelanomaError(
                "expected balanced batches (--balance batch) with a generated fraction; found "
                f"balance {self.balance}"
            )

    @property
    def plan(self) -> ExpansionPlan | None:
        """The expansion plan; None without one."""
        return None if self.expansion == "none" else expansion_plan_named(self.expansion)


@dataclass(frozen=True)
class AugmentationSettings(Settings):
    """Random changes of training images, see `augmentation.settings`.

    Attributes:
        augment: a preset.
        cutout, mixup, cutmix: replace the value of the preset; None keeps it.
    """

    augment: str = setting(
        "standard",
        "standard: random crops and flips; strong: also rotation, scale, elastic warp, colour and "
        "cutout.",
        choices=tuple(CLASSIFIER_PRESETS),
        group="Augmentation",
    )
    cutout: Optional[float] = setting(
        None,
        "Fraction of the images in which a square is hidden.",
        minimum=0,
        maximum=1,
        shown_default="as the preset",
        group="Augmentation",
    )
    mixup: Optional[float] = setting(
        None,
        "Alpha of mixup, which averages pairs of images, as 0.2; 0 disables it.",
        minimum=0,
        metavar="ALPHA",
        shown_default="as the preset",
        group="Augmentation",
    )
    cutmix: Optional[float] = setting(
        None,
        "Alpha of cutmix, which pastes rectangles of other images, as 1; 0 disables it.",
        minimum=0,
        metavar="ALPHA",
        shown_default="as the preset",
        group="Augmentation",
    )


@dataclass(frozen=True)
class FoldSettings(Settings):
    """The fold that is held out.

    Attributes:
        folds: how many folds; 0 leaves the splits of the records as they are.
        fold: the one that is held out for validation, from 0 on.
        fold_seed: of the division. It is independent of the seed of a training, so that trainings
            with several seeds share their folds.
    """

    folds: int = setting(
        0,
        "Divide training and validation images into this many folds, by patient, lesion and "
        "picture.",
        minimum=0,
        shown_default="the records' own splits",
        group="Validation",
    )
    fold: int = setting(
        0, "Fold that is held out for validation, from 0 on.", minimum=0, group="Validation"
    )
    fold_seed: int = setting(
        0,
        "Seed of the division into folds, independent of --seed.",
        minimum=0,
        group="Validation",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds in (0, 1) and (self.folds or self.fold):
            raise MelanomaError(f"expected --folds 2 or more to hold one out; found {self.folds}")
        if self.fold >= max(self.folds, 1):
            raise MelanomaError(
                f"expected a fold from 0 to {self.folds - 1} of {self.folds}; found {self.fold}"
            )


@dataclass(frozen=True)
class ClassifierSettings(TrainingSettings):
    """Everything that decides a classifier's training.

    Attributes:
        purify: when hairs, rulers, ink and bubbles are removed: from training images (`train`), at
            validation, evaluation and serving (`test`), `both`, or `none`.
        purify_method: how.
        purify_network: `shipped`, or a finished inpainter run, of the method `network`.

    Example:
        >>> ClassifierSettings(network=NetworkSettings("small", "none")).epochs
        30
    """

    network: NetworkSettings = group(NetworkSettings)
    optimization: OptimizationSettings = group(OptimizationSettings)
    batches: BatchSettings = group(BatchSettings)
    augmentation: AugmentationSettings = group(AugmentationSettings)
    cross_validation: FoldSettings = group(FoldSettings)
    purify: str = setting(
        "none",
        "Remove hairs, rulers, ink and bubbles from images: in training, at test time (validation, "
        "evaluate, and inside the exported model), or both.",
        choices=PURIFY,
        group="Purification",
    )
    purify_method: str = setting(
        "classical", "Purification method.", choices=PURIFY_METHODS, group="Purification"
    )
    purify_network: str = setting(
        "shipped",
        "Network of --purify-method network; RUN: a finished inpainter run.",
        metavar="shipped|RUN",
        group="Purification",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimization.frozen_epochs and self.network.weights == "none":
            raise MelanomaError(
                f"expected weights to start from with {self.optimization.frozen_epochs} frozen "
                "epochs; found weights none: a random backbone is not worth freezing"
            )
        if self.optimization.class_weights != "none" and self.batches.balance != "none":
            raise MelanomaError(
                "expected class weights or balanced batches; found both, which would count scarce "
                "classes twice"
            )

    @property
    def depends_on_epochs(self) -> bool:
        """See `TrainingSettings`."""
        return self.optimization.schedule == "cosine"


# Bisla et al. 2019 and the code that came with it.
RECIPES: dict[str, ClassifierSettings] = {
    "bisla2019": ClassifierSettings(
        epochs=90,
        batch_size=50,
        network=NetworkSettings("resnet50", "imagenet", image_size_px=224, resize_px=400),
        optimization=OptimizationSettings("sgd", 1e-3, schedule="step", step_epochs=30),
    )
}
