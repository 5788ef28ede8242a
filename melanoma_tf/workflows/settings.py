"""Settings of the workflows. Free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.backbones import backbone_names
from melanoma_tf.classification.evaluation_settings import PURIFICATIONS
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, redeclared, setting
from melanoma_tf.generation.settings import IMAGE_SIZES_PX
from melanoma_tf.purification.classical.settings import METHODS

NO_RECIPE, PUBLISHED = "none", "bisla2019"
EXPANSION = "expansion"
FACTORS = ("purify", "generate", "balance", "augment")
DESIGNS = ("full", "single")


@dataclass(frozen=True)
class DemoSettings(Settings):
    """Size of the demo; the rest is as `ISIC2017_SCALES["demo"]` says.

    Attributes:
        images: number of phantoms, divided 0.7/0.15/0.15 into the splits.
        image_size_px: side of a phantom in pixels.
        epochs: of both classifiers; the other networks get epochs in proportion.
        batch_size: images in a training step of the classifiers.
        workers: threads that prepare images.
        seed: of everything.
    """

    images: int = setting(240, "Number of phantoms.", minimum=60, group="Size")
    image_size_px: int = setting(96, "Side of a phantom in pixels.", minimum=32, group="Size")
    epochs: int = setting(6, "Epochs of the classifiers.", minimum=1, group="Size")
    batch_size: int = setting(16, "Images in a training step.", minimum=1, group="Size")
    workers: int = setting(2, "Threads that prepare images.", minimum=1, group="Size")
    seed: int = setting(0, "Seed of everything.", minimum=0, group="Size")


@dataclass(frozen=True)
class DeviceCheckSettings(Settings):
    """The training by which devices are compared.

    Attributes:
        replicas: devices to compare with one; 0 takes all GPUs. Without GPUs the CPU is split.
        image_size_px: side of the images in pixels.
        batch_size: images in a step of one device.
        steps: that are timed.
        compared_steps: whose losses are compared.
        seed: of weights and images.
    """

    replicas: int = setting(
        0,
        "Devices to compare with one; without GPUs the CPU is split.",
        minimum=0,
        shown_default="all GPUs",
        group="Devices",
    )
    image_size_px: int = setting(224, "Side of the images in pixels.", minimum=32, group="Devices")
    batch_size: int = setting(64, "Images in a step of one device.", minimum=1, group="Devices")
    steps: int = setting(50, "Steps that are timed.", minimum=1, group="Devices")
    compared_steps: int = setting(5, "Steps whose losses are compared.", minimum=1, group="Devices")
    seed: int = setting(0, "Seed of weights and images.", minimum=0, group="Devices")


@dataclass(frozen=True)
class ExperimentSettings(Settings):
    """Settings that both experiments of Bisla et al. 2019 have; the defaults suit a CPU.

    Attributes:
        phantoms: draw this many phantoms in place of data sets; 0 draws none.
        image_size_px: short side of the images in the records.
        recipe: `bisla2019` takes the published networks and their optimization; `none` takes
            networks and optimization for short trainings.
        gan_size_px, classifier_size_px: side of each network's images.
        backbone: of the classifiers.
        weights: that the classifiers start from.
        gan_epochs: of these trainings.
        baseline_epochs: of the classifier that is trained on the raw images.
        proposed_epochs: of the classifier that is trained on raw, purified and generated images.
        gan_batch_size, batch_size: images in a step of the GANs and of the classifiers.
        min_mse: see `generation.settings.GenerationSettings`.
        rounds: of the bootstraps.
        seed: of everything.
    """

    phantoms: int = setting(
        0,
        "Draw this many phantoms (synthetic images) in place of --data.",
        minimum=0,
        shown_default="none",
        group="Data",
    )
    image_size_px: int = setting(
        256, "Short side of the images in the records, in pixels.", minimum=32, group="Data"
    )
    recipe: str = setting(
        NO_RECIPE,
        "bisla2019: the published networks and optimization; none: such as suit short trainings.",
        choices=(NO_RECIPE, PUBLISHED),
        group="Networks",
    )
    gan_size_px: int = setting(
        64, "Side of the generated images in pixels.", choices=IMAGE_SIZES_PX, group="Networks"
    )
    classifier_size_px: int = setting(
        96, "Side of the classifiers' input in pixels.", minimum=32, group="Networks"
    )
    backbone: str = setting(
        "efficientnet-lite0",
        "Backbone of the classifiers.",
        choices=backbone_names,
        group="Networks",
    )
    weights: str = setting(
        "imagenet",
        "Weights that the classifiers start from.",
        choices=("imagenet", "none"),
        group="Networks",
    )
    gan_epochs: int = setting(50, "Epochs of each GAN.", minimum=1, group="Training")
    baseline_epochs: int = setting(
        14, "Epochs of the baseline classifier.", minimum=1, group="Training"
    )
    proposed_epochs: int = setting(
        1, "Epochs of the proposed classifier.", minimum=1, group="Training"
    )
    gan_batch_size: int = setting(
        16, "Images of a class in a step of the GANs.", minimum=2, group="Training"
    )
    batch_size: int = setting(
        32, "Images in a step of the classifiers.", minimum=1, group="Training"
    )
    min_mse: Optional[float] = setting(
        None,
        "Least mean squared error of a generated image to every real image and to each other.",
        minimum=0,
        shown_default="the first percentile of the distances from real images to their nearest "
        "other",
        group="Generation",
    )
    rounds: int = setting(
        1000, "Bootstrap rounds for the 95 % intervals.", minimum=2, group="Scores"
    )
    seed: int = setting(0, "Seed of everything.", minimum=0, group="Training")


@dataclass(frozen=True)
class Isic2017Settings(ExperimentSettings):
    """Settings of the ISIC 2017 experiment, Sections 3 and 4; the defaults suit a CPU.

    Attributes:
        purify_method: of the copies that are added to the training set.
        segmenter_size_px: side of the segmenter's input.
        segmenter_epochs: of this training.
        balance: `expansion` shows every image in six views, mirrored or not, as in the paper;
            `batch` draws equally many images of each class into every batch.
        proposed_epochs: with an expansion each has about nine times as many examples.
        weights: the segmenter starts from them too, without a recipe.
        melanoma_count, keratosis_count: images to generate; 0 trains no GAN of the class.
    """

    purify_method: str = setting(
        "classical", "Purification method.", choices=METHODS, group="Networks"
    )
    segmenter_size_px: int = setting(
        128, "Side of the segmenter's input in pixels.", minimum=32, group="Networks"
    )
    segmenter_epochs: int = setting(4, "Epochs of the segmenter.", minimum=1, group="Training")
    balance: str = setting(
        EXPANSION,
        "Balance of the proposed classifier's classes. expansion: by the published expansion plan; "
        "batch: equally many images of each class in every batch.",
        choices=(EXPANSION, "batch"),
        group="Training",
    )
    # About as many examples as the baseline sees in all of its epochs.
    proposed_epochs: int = redeclared(
        ExperimentSettings,
        "proposed_epochs",
        1,
        help="Epochs of the proposed classifier; the expansion plan shows every image in six "
        "views.",
    )
    melanoma_count: int = setting(
        350, "Melanomas to generate; 0 trains no GAN of them.", minimum=0, group="Generation"
    )
    keratosis_count: int = setting(
        750,
        "Seborrheic keratoses to generate; 0 trains no GAN of them.",
        minimum=0,
        group="Generation",
    )


@dataclass(frozen=True)
class Isic2018Settings(ExperimentSettings):
    """Settings of the ISIC 2018 experiment, Section 6; the defaults suit a CPU.

    Attributes:
        gan_steps: rounds in an epoch of the coupled GAN; 0 passes over the largest class.
        frozen_epochs: epochs in which only the classifiers' new last layer is trained.
        generated_count: images to generate of each class; 0 trains no GAN.
        generated_fraction: largest fraction of generated images among those of a class in a batch.
        test_purify: purification inside the exported model.
    """

    gan_steps: int = setting(
        90,
        "Rounds in an epoch of the coupled GAN; 0 passes over the largest class.",
        minimum=0,
        group="Training",
    )
    gan_epochs: int = redeclared(
        ExperimentSettings, "gan_epochs", 6, help="Epochs of the coupled GAN."
    )
    gan_batch_size: int = redeclared(ExperimentSettings, "gan_batch_size", 8)
    frozen_epochs: int = setting(
        1,
        "Epochs in which only the classifiers' new last layer is trained.",
        minimum=0,
        group="Training",
    )
    # The proposed classifier sees about as many examples as the baseline.
    baseline_epochs: int = redeclared(ExperimentSettings, "baseline_epochs", 6)
    proposed_epochs: int = redeclared(ExperimentSettings, "proposed_epochs", 5)
    generated_count: int = setting(
        100, "Images to generate of each class; 0 trains no GAN.", minimum=0, group="Generation"
    )
    generated_fraction: float = setting(
        0.26,
        "Largest fraction of generated images among those of a class in a batch.",
        minimum=0,
        maximum=1,
        below_maximum=True,
        group="Generation",
    )
    test_purify: str = setting(
        "none",
        "Purification inside the exported model.",
        choices=PURIFICATIONS,
        group="Networks",
    )


@dataclass(frozen=True)
class AblationSettings(Settings):
    """Which parts of the method are switched on and off, and how often each is trained.

    Attributes:
        factors: out of `FACTORS`, separated by commas.
        design: `full` trains every combination of the factors; `single` trains none of them, each
            one alone, and all of them.
        seeds: trainings of each combination, with the seeds from `--seed` on.
        rounds: of the bootstrap.
    """

    factors: str = setting(
        ",".join(FACTORS),
        f"Factors out of {', '.join(FACTORS)}, separated by commas.",
        metavar="FACTOR,...",
        group="Ablation",
    )
    design: str = setting(
        "full",
        "full: every combination of the factors; single: none, each one alone, and all.",
        choices=DESIGNS,
        group="Ablation",
    )
    seeds: int = setting(3, "Trainings of each combination.", minimum=1, group="Ablation")
    rounds: int = setting(
        1000, "Bootstrap rounds for the 95 % intervals.", minimum=2, group="Ablation"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.names
        if not names or len(set(names)) < len(names) or set(names) - set(FACTORS):
            raise MelanomaError(
                f"expected different factors out of {', '.join(FACTORS)}; found {self.factors!r}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The factors."""
        return tuple(self.factors.split(","))


# By what they are made for: a CPU within an hour or two, the published experiment, a first look.
ISIC2017_SCALES: dict[str, Isic2017Settings] = {
    "small": Isic2017Settings(),
    "paper": Isic2017Settings(
        image_size_px=512,
        recipe=PUBLISHED,
        purify_method=PUBLISHED,
        segmenter_size_px=380,
        gan_size_px=256,
        classifier_size_px=224,
        backbone="resnet50",
        segmenter_epochs=100,
        gan_epochs=300,
        baseline_epochs=90,
        proposed_epochs=90,
        gan_batch_size=32,
        batch_size=50,
    ),
    "demo": Isic2017Settings(
        phantoms=240,
        image_size_px=96,
        segmenter_size_px=64,
        classifier_size_px=64,
        segmenter_epochs=3,
        gan_epochs=18,
        baseline_epochs=6,
        balance="batch",
        proposed_epochs=6,
        gan_batch_size=8,
        batch_size=16,
        melanoma_count=16,
        keratosis_count=0,
        min_mse=0.0001,
        rounds=200,
    ),
}
# The paper does not publish how many images of seven classes were generated.
ISIC2018_SCALES: dict[str, Isic2018Settings] = {
    "small": Isic2018Settings(),
    "paper": Isic2018Settings(
        image_size_px=512,
        recipe=PUBLISHED,
        gan_size_px=256,
        classifier_size_px=224,
        backbone="resnet50",
        gan_epochs=300,
        gan_steps=0,
        frozen_epochs=0,
        baseline_epochs=90,
        proposed_epochs=90,
        gan_batch_size=32,
        batch_size=50,
        generated_count=500,
        test_purify="network",
    ),
    "demo": Isic2018Settings(
        phantoms=280,
        image_size_px=96,
        classifier_size_px=64,
        gan_epochs=3,
        gan_steps=10,
        baseline_epochs=5,
        proposed_epochs=5,
        gan_batch_size=8,
        batch_size=16,
        generated_count=8,
        min_mse=0.0,
        rounds=200,
    ),
}
