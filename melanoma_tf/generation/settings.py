"""Settings of generative networks, of their training, of generation and of scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.core.settings import (
    Settings,
    fraction,
    group,
    positive,
    redeclared,
    required,
    setting,
)
from melanoma_tf.training.settings import RATE_SCHEDULES, TrainingSettings

IMAGE_SIZES_PX = (64, 128, 256)


@dataclass(frozen=True)
class DiscriminatorSettings(Settings):
    """Layers of a discriminator that the tables of Bisla et al. 2019 do not have.

    Attributes:
        spectral_normalization: divides kernels by their largest singular value (Miyato et al.
            2018), in place of batch normalisation.
        minibatch_kernels: kernels of minibatch discrimination before the last layer (Salimans et
            al. 2016, Section 3.2); 0 leaves it out.
    """

    spectral_normalization: bool = setting(
        False,
        "Spectral normalisation of the discriminator, in place of batch normalisation.",
        group="Stabilisers",
    )
    minibatch_kernels: int = setting(
        0,
        "Kernels of minibatch discrimination; 0 leaves it out.",
        minimum=0,
        maximum=1024,
        group="Stabilisers",
    )


@dataclass(frozen=True)
class StabiliserSettings(Settings):
    """Changes of the losses and of the discriminator's input that keep a training in balance.

    Attributes:
        label_smoothing: one-sided: the target of real images is 1 less this (Salimans et al. 2016,
            Section 3.4).
        feature_matching: weight of the squared distance between the mean features of real and
            generated images in the generator's loss (Section 3.1).
        historical_averaging: weight of the squared distance of the weights to their mean over the
            training so far (Section 3.3), in both losses.
        instance_noise: standard deviation of noise on the discriminator's input.
        differentiable_augmentation: see the module of that name.
    """

    label_smoothing: float = setting(
        0.1,
        "One-sided label smoothing: the target of real images is 1 less this.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        group="Stabilisers",
    )
    feature_matching: float = setting(
        0.0, "Weight of feature matching in the generator's loss.", minimum=0, group="Stabilisers"
    )
    historical_averaging: float = setting(
        0.0, "Weight of historical averaging in both losses.", minimum=0, group="Stabilisers"
    )
    instance_noise: float = setting(
        0.0,
        "Standard deviation of noise on the discriminator's input.",
        minimum=0,
        group="Stabilisers",
    )
    differentiable_augmentation: bool = setting(
        True,
        "Augment the discriminator's input: for data sets of hundreds of images.",
        group="Stabilisers",
    )


@dataclass(frozen=True)
class GanSettings(TrainingSettings):
    """Everything that decides the training of a DCGAN of one class.

    Attributes:
        class_names: the class to learn, exactly one.
        image_size_px: one of `IMAGE_SIZES_PX`.
        latent_size: length of the latent vectors.
        epochs: each is one pass over the class with the most images, or `steps_per_epoch`.
        steps_per_epoch: rounds in an epoch; 0 is one pass over the class with the most images.
        batch_size: images of each class in a round, over all replicas.
        learning_rate, schedule: of both networks' Adam, see `training.schedules.rate_by_name`. A
            constant one as in the paper leaves a grain on the images: the fine detail of what is
            generated sways until the rate falls.
        discriminator, stabilisers: see these classes.
        collapse_fraction: warn where the diversity of generated images is below this fraction of
            the real ones'.

    Example:
        >>> GanSettings(class_names=("melanoma",)).image_size_px
        256
    """

    class_names: tuple[str, ...] = setting(
        (), "Class to learn, as melanoma; required.", option="--class", group="Data"
    )
    image_size_px: int = setting(
        256,
        "Side of the images in pixels; 64 suits a CPU.",
        choices=IMAGE_SIZES_PX,
        group="Network",
    )
    latent_size: int = setting(
        10, "Length of the latent vectors.", minimum=1, maximum=4096, group="Network"
    )
    discriminator: DiscriminatorSettings = group(DiscriminatorSettings)
    stabilisers: StabiliserSettings = group(StabiliserSettings)
    epochs: int = redeclared(
        TrainingSettings,
        "epochs",
        300,
        help="Passes over the training images of the largest class, see --steps-per-epoch.",
    )
    steps_per_epoch: int = setting(
        0,
        "Rounds in an epoch.",
        minimum=0,
        shown_default="one pass over the largest class",
        group="Training",
    )
    batch_size: int = redeclared(
        TrainingSettings,
        "batch_size",
        32,
        help="Images of each class in a round, over all replicas.",
        minimum=2,
    )
    average_momentum: float = redeclared(TrainingSettings, "average_momentum", 0.99)
    patience: int = redeclared(
        TrainingSettings,
        "patience",
        0,
        help="Stop after this many epochs without a smaller sliced Wasserstein distance; 0 never "
        "stops.",
    )
    collapse_fraction: float = fraction(
        0.5,
        "Warn where the diversity of generated images is below this fraction of the real ones'.",
        group="Training",
    )
    learning_rate: float = positive(
        2e-4, "Learning rate of both networks' Adam.", group="Optimization"
    )
    schedule: str = setting(
        "constant",
        "constant as in the paper; cosine: warm-up, then decay to 0, for finer images.",
        choices=RATE_SCHEDULES,
        group="Optimization",
    )

    @property
    def depends_on_epochs(self) -> bool:
        """See `TrainingSettings`."""
        return self.schedule == "cosine"


@dataclass(frozen=True)
class CoupledGanSettings(GanSettings):
    """Everything that decides the training of coupled DCGANs, which share layers between classes.

    Attributes:
        class_names: the classes to learn; empty for all of the records.
        latent_size: length of the latent vectors.
    """

    class_names: tuple[str, ...] = redeclared(
        GanSettings,
        "class_names",
        (),
        help="Class to learn; repeat for several.",
        shown_default="all classes of the records",
    )
    latent_size: int = redeclared(GanSettings, "latent_size", 100)


_PUBLISHED = StabiliserSettings(differentiable_augmentation=False)
# Bisla et al. 2019, Sections 3.3.2 and 6.3. Which of the stabilisers of Salimans et al. 2016 it
# used, and the batch size, are not published.
GAN_RECIPES = {"bisla2019": GanSettings(average_momentum=0.0, stabilisers=_PUBLISHED)}
COUPLED_GAN_RECIPES = {
    "bisla2019": CoupledGanSettings(average_momentum=0.0, stabilisers=_PUBLISHED)
}


@dataclass(frozen=True)
class GenerationSettings(Settings):
    """Everything that decides the content of a folder of generated images.

    Attributes:
        count: images of each class.
        class_names: some of the run's; empty for all.
        min_mse: least distance to a real image and to each other; None takes the first percentile
            of the distances from real images to their nearest other real image.
        latent_size: expected latent size of the run; 0 accepts any.
        features: also filter in a space of features: `imagenet` or a classifier run; images nearer
            to a real one than the first percentile of real ones to each other are rejected.
        seed: of the latent vectors.
    """

    count: int = required("Images of each class.", minimum=1)
    class_names: tuple[str, ...] = setting(
        (),
        "Only this class of a coupled run; repeat for several.",
        option="--class",
        shown_default="all classes of the run",
    )
    seed: int = setting(0, "Seed of the latent vectors: same seed, same images.")
    latent_size: int = setting(
        0, "Latent size that the run must have.", minimum=0, shown_default="any"
    )
    min_mse: Optional[float] = setting(
        None,
        "Least mean squared error to every real image and to each other.",
        minimum=0,
        shown_default="the first percentile of the distances from real images to their nearest "
        "other",
        group="Novelty filter",
    )
    features: Optional[str] = setting(
        None,
        "Also compare in a network's feature space: that of a classifier run, or of "
        "EfficientNet-Lite0 with ImageNet weights.",
        metavar="RUN|imagenet",
        group="Novelty filter",
    )


@dataclass(frozen=True)
class GeneratorScoreSettings(Settings):
    """Settings of the scores of a generator.

    Attributes:
        features: feature space of KID, FID, precision and recall: `imagenet` or a classifier run;
            None leaves these metrics out.
        seed: of the latent vectors and of the training images compared.
    """

    features: Optional[str] = setting(
        None,
        "Also compute KID, FID, precision and recall, in the feature space of a classifier run or "
        "of EfficientNet-Lite0 with ImageNet weights.",
        metavar="RUN|imagenet",
    )
    seed: int = setting(0, "Seed of the latent vectors and of the training images compared.")
