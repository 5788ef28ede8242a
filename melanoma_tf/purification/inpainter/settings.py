"""Settings of the inpainter and its training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, fraction, group, positive, redeclared, setting
from melanoma_tf.purification.settings import PatchSettings
from melanoma_tf.training.settings import RateSettings

NORMALIZATIONS = ("batch", "none")
STARTS = ("nothing", "filling")
IMAGENET, NO_FEATURES = "imagenet", "none"


@dataclass(frozen=True)
class LossWeights(Settings):
    """The weights of Liu et al. 2018, Equation 7.

    Attributes:
        valid, hole: of the mean absolute error outside and inside the holes.
        perceptual: of the features' absolute error, of output and composed image.
        style: of the Gram matrices' absolute error, of output and composed image.
        variation: of the total variation of the composed image on the holes and one pixel around.

    Raises:
        MelanomaError: a weight below 0, or all 0.
    """

    valid: float = setting(
        1.0,
        "Weight of the error outside the holes.",
        minimum=0,
        option="--valid-weight",
        group="Loss",
    )
    hole: float = setting(
        6.0,
        "Weight of the error inside the holes.",
        minimum=0,
        option="--hole-weight",
        group="Loss",
    )
    perceptual: float = setting(
        0.05,
        "Weight of the perceptual loss.",
        minimum=0,
        option="--perceptual-weight",
        group="Loss",
    )
    style: float = setting(
        120.0, "Weight of the style loss.", minimum=0, option="--style-weight", group="Loss"
    )
    variation: float = setting(
        0.1,
        "Weight of the total variation of the holes.",
        minimum=0,
        option="--variation-weight",
        group="Loss",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(dataclasses.astuple(self)):
            raise MelanomaError("expected a loss weight above 0; found 0 for all")

    @property
    def need_features(self) -> bool:
        """Tell whether a feature network is needed."""
        return bool(self.perceptual or self.style)


@dataclass(frozen=True)
class InpainterSettings(PatchSettings):
    """Everything that decides an inpainter's training; the defaults are the papers'.

    They are those of Bisla et al. 2019, Section 6.1, and of Liu et al. 2018.

    Attributes:
        base_filters, levels, normalization, start, full_size: see
            `purification.inpainter.network.build_inpainter`.
        weights: `none`, or the `weights.npz` of another run of the same network to start from.
        features: what the perceptual and the style loss compare by: `imagenet` (VGG-16), the
            `.h5` file of such a network, `efficientnet-lite0` (whose ImageNet weights ship), a
            finished classifier run, or `none` to leave them out.
        classical_fraction: fraction of the pairs that are made by the classical method: its mask
            of an image's own occlusions, and its filling for truth (Bisla et al. 2019, Section
            6.1). The others get random occlusions drawn, and the image for truth.
        detected_fraction: fraction of the drawn pairs whose mask is what the classical detector
            finds of the drawing, with its gaps and faint edges; the others' follows the drawing.
        loss: weights of the loss.
        epochs: passes over the training split, in all.
        frozen_epochs: how many of them, the last, belong to the second phase: gradient descent
            with the encoder's batch normalisation frozen.
        learning_rate: of Adam, in the first phase.
        schedule: `constant`, or `cosine`: the first phase's rate rises shortly and then falls.
        frozen_learning_rate: of the second phase.

    Example:
        >>> InpainterSettings(features="none").loss_weights.need_features
        False
    """

    base_filters: int = setting(
        64,
        "Filters of the first layer, by which all widths grow.",
        minimum=1,
        maximum=512,
        group="Network",
    )
    levels: int = setting(
        7, "Encoder layers, each of which halves the size.", minimum=1, maximum=8, group="Network"
    )
    normalization: str = setting(
        "batch", "Normalisation of the layers.", choices=NORMALIZATIONS, group="Network"
    )
    start: str = setting(
        "nothing",
        "filling: the network refines the classical filling of the holes.",
        choices=STARTS,
        group="Network",
    )
    full_size: bool = setting(
        False, "Add a layer at full size to encoder and decoder.", group="Network"
    )
    classical_fraction: float = fraction(
        0.25,
        "Fraction of the pairs made by the classical method; the others have random masks.",
        group="Data",
    )
    detected_fraction: float = fraction(
        0.5,
        "Fraction of the random masks replaced by what the classical detector finds of them.",
        group="Data",
    )
    features: str = setting(
        IMAGENET,
        "Features of the perceptual and the style loss: imagenet is VGG-16, downloaded; FILE: its "
        "weights; efficientnet-lite0 ships; RUN: a classifier; none leaves both out.",
        metavar="imagenet|efficientnet-lite0|none|FILE|RUN",
        group="Loss",
    )
    loss: LossWeights = group(LossWeights)
    epochs: int = redeclared(RateSettings, "epochs", 100)
    batch_size: int = redeclared(RateSettings, "batch_size", 8)
    frozen_epochs: int = setting(
        20,
        "The last epochs, trained by gradient descent with frozen normalisation of the encoder.",
        minimum=0,
        group="Training",
    )
    learning_rate: float = redeclared(
        RateSettings, "learning_rate", 2e-4, help="Learning rate of Adam, before the frozen epochs."
    )
    schedule: str = redeclared(
        RateSettings,
        "schedule",
        "constant",
        help="Schedule of Adam; cosine: warm-up, then decay to a hundredth.",
    )
    frozen_learning_rate: float = positive(
        1e-4, "Learning rate of gradient descent, in the frozen epochs.", group="Optimization"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frozen_epochs > self.epochs:
            raise MelanomaError(
                f"expected 0 to {self.epochs} frozen epochs, of all; found {self.frozen_epochs}"
            )

    @property
    def loss_weights(self) -> LossWeights:
        """Weights of the loss; without features those of their terms are 0."""
        if self.features != NO_FEATURES:
            return self.loss
        return dataclasses.replace(self.loss, perceptual=0.0, style=0.0)

    @property
    def depends_on_epochs(self) -> bool:
        """See `TrainingSettings`."""
        return self.schedule == "cosine" or self.frozen_epochs > 0


RECIPES = {"bisla2019": InpainterSettings()}
