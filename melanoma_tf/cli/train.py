"""`melanoma-tf train ...`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.classification.settings import RECIPES, ClassifierSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.derived import Command, GroupedCommand, recipe_option, settings_options
from melanoma_tf.core.settings import Settings
from melanoma_tf.generation.settings import (
    COUPLED_GAN_RECIPES,
    GAN_RECIPES,
    CoupledGanSettings,
    GanSettings,
)
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.inpainter.settings import RECIPES as INPAINTER_RECIPES
from melanoma_tf.purification.inpainter.settings import InpainterSettings
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.training.settings import TrainingSettings


@click.group()
def train() -> None:
    """Train a network."""


def training_command(
    name: str, kind: type[Settings], recipes: Callable[[Command], Command] | None = None
) -> Callable[[Command], Command]:
    """A command of the group `train`: where to read and write, and the settings of a network.

    Args:
        name: of the command.
        kind: the class of the network's settings.
        recipes: see `derived.recipe_option`.
    """

    def decorate(command: Command) -> Command:
        shared: list[Callable[[Command], Command]] = [*_FOLDERS, *_RUN]
        if recipes is not None:
            shared.append(recipes)
        command = settings_options(kind)(command)
        for option in reversed(shared):
            command = option(command)
        return train.command(name, cls=GroupedCommand)(command)

    return decorate


def say_where(run_dir: Path, settings: TrainingSettings) -> None:
    """Say where a trained network is, and how to look at its curves; the chief of workers does."""
    from melanoma_tf.training.workers import visible_workers

    if not visible_workers(strategy=settings.strategy).is_chief:
        return
    click.echo(f"model: {run_dir / 'weights.npz'}   curves: tensorboard --logdir {run_dir}")


_FOLDERS = (
    options.records(
        "Folder made by build-records, purify or generate; repeat to train on several."
    ),
    options.run_dir(),
)
_RUN = (
    options.resume("a run after its last finished epoch"),
    click.option(
        "--resume-if-begun",
        is_flag=True,
        help="Continue the run if there is one, else begin it: for a scheduler that restarts.",
    ),
    options.overwrite("a finished run, once the new one has finished"),
    click.option(
        "--profile",
        is_flag=True,
        help="Write a profile of some steps for TensorBoard, and print which fraction of a step "
        "waits for input.",
    ),
)


@training_command("segmenter", SegmenterSettings)
def segmenter(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: SegmenterSettings,
    **run: Any,
) -> None:
    """Train a lesion segmenter on the training split of records with masks.

    \b
    Example:
      melanoma-tf train segmenter --records tfrecords/isic2017 --run-dir runs/outlines \\
          --image-size 228 --base-filters 16 --overlap dice --average-momentum 0.99
      tensorboard --logdir runs

    The best epoch has the highest mean Jaccard index on the validation split. The defaults are
    those of Bisla et al. 2019.
    """
    from melanoma_tf.segmentation.train import train_segmenter

    train_segmenter(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


@training_command(
    "inpainter",
    InpainterSettings,
    recipe_option(
        INPAINTER_RECIPES, "bisla2019: Bisla et al. 2019, Section 6.1, which are the defaults."
    ),
)
def inpainter(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: InpainterSettings,
    **run: Any,
) -> None:
    """Train the network that fills hairs, rulers and ink in `purify --method network`.

    \b
    Example:
      melanoma-tf train inpainter --records tfrecords/isic2017 --run-dir runs/filler \\
          --base-filters 16 --levels 4 --start filling --full-size --normalization none \\
          --features none --image-size 128
      tensorboard --logdir runs

    The best epoch has the highest PSNR inside the holes of the validation split. The defaults are
    those of Bisla et al. 2019, Section 6.1, and Liu et al. 2018.
    """
    from melanoma_tf.purification.inpainter.train import train_inpainter

    train_inpainter(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


@training_command("occlusion-detector", DetectorSettings)
def occlusion_detector(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: DetectorSettings,
    **run: Any,
) -> None:
    """Train the network that finds hairs, rulers and ink in `purify --method network`.

    \b
    Example:
      melanoma-tf train occlusion-detector --records tfrecords/isic2017 --run-dir runs/detector
      tensorboard --logdir runs

    It learns from occlusions drawn at random on the images, which need no masks; what the classical
    detector finds on the images themselves does not count. The best epoch has the highest Dice
    coefficient on the validation split.
    """
    from melanoma_tf.purification.detector.train import train_occlusion_detector

    train_occlusion_detector(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


_GAN_RECIPES = "bisla2019: no averaged weights, no differentiable augmentation."


@training_command("gan", GanSettings, recipe_option(GAN_RECIPES, _GAN_RECIPES))
def gan(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: GanSettings,
    **run: Any,
) -> None:
    """Train a DCGAN on the real training images of one class.

    \b
    Example:
      melanoma-tf train gan --records tfrecords/isic2017 --class melanoma \\
          --run-dir runs/gan-melanoma --image-size 64 --epochs 100
      melanoma-tf generate --run-dir runs/gan-melanoma --count 350 --output tfrecords/generated

    The networks are those of Bisla et al. 2019, Table 2. The epoch with the smallest sliced
    Wasserstein distance to held-out real images is kept.
    """
    from melanoma_tf.generation.train import train_gan

    train_gan(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


@training_command(
    "coupled-gan", CoupledGanSettings, recipe_option(COUPLED_GAN_RECIPES, _GAN_RECIPES)
)
def coupled_gan(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: CoupledGanSettings,
    **run: Any,
) -> None:
    """Train coupled DCGANs, which share layers, on the real training images of several classes.

    \b
    Example:
      melanoma-tf train coupled-gan --records tfrecords/ham10000 --run-dir runs/gan-ham10000 \\
          --image-size 64 --batch-size 10

    The networks are those of Bisla et al. 2019, Table 5: a latent vector gives one image of each
    class.
    """
    from melanoma_tf.generation.train import train_coupled_gan

    train_coupled_gan(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


@training_command(
    "classifier",
    ClassifierSettings,
    recipe_option(
        RECIPES,
        "bisla2019: ResNet-50 from ImageNet weights, 224 px cut out of 400, SGD at 1e-3 divided by "
        "10 every 30 of 90 epochs, batches of 50.",
    ),
)
def classifier(
    records: tuple[Path, ...],
    run_dir: Path,
    settings: ClassifierSettings,
    **run: Any,
) -> None:
    """Train a lesion classifier on the training split of records.

    \b
    Example:
      melanoma-tf train classifier --records tfrecords/isic2017 --run-dir runs/first \\
          --backbone small --weights none --epochs 20
      melanoma-tf train classifier --records tfrecords/isic2017 --run-dir runs/paper \\
          --recipe bisla2019
      tensorboard --logdir runs

    The best epoch has the highest mean AUC on the validation split, or on the fold that is held
    out. At the end, probabilities are calibrated on the same images.
    """
    from melanoma_tf.classification.train import train_classifier

    train_classifier(records, run_dir, settings, log=click.echo, **run)
    say_where(run_dir, settings)


COMMANDS = (train,)
