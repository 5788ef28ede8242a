"""`melanoma-tf train ...`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.batches import batches_options
from melanoma_tf.cli.derived import Command, GroupedCommand, recipe_option, settings_options
from melanoma_tf.cli.fitting import fitting_options, recipe
from melanoma_tf.cli.folds import fold_options
from melanoma_tf.core.settings import Settings
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.inpainter.settings import RECIPES as INPAINTER_RECIPES
from melanoma_tf.purification.inpainter.settings import InpainterSettings
from melanoma_tf.segmentation.settings import SegmenterSettings


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


def say_where(run_dir: Path) -> None:
    """Say where a trained network is, and how to look at its curves."""
    click.echo(f"model: {run_dir / 'model.keras'}   curves: tensorboard --logdir {run_dir}")


_FOLDERS = (
    click.option(
        "--records",
        type=options.FOLDER,
        multiple=True,
        required=True,
        help="A folder made by build-records, purify or generate; repeat to train on several.",
    ),
    click.option(
        "--run-dir", type=options.FOLDER, required=True, help="The run folder, runs/NAME."
    ),
)
_RUN = (
    click.option("--resume", is_flag=True, help="Go on after the last finished epoch."),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Replace a finished run, once the new one has finished.",
    ),
)


@training_command("segmenter", SegmenterSettings)
def segmenter(
    records: tuple[Path, ...],
    run_dir: Path,
    resume: bool,
    overwrite: bool,
    settings: SegmenterSettings,
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

    train_segmenter(records, run_dir, settings, resume=resume, overwrite=overwrite, log=click.echo)
    say_where(run_dir)


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
    resume: bool,
    overwrite: bool,
    settings: InpainterSettings,
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

    train_inpainter(records, run_dir, settings, resume=resume, overwrite=overwrite, log=click.echo)
    say_where(run_dir)


@training_command("occlusion-detector", DetectorSettings)
def occlusion_detector(
    records: tuple[Path, ...],
    run_dir: Path,
    resume: bool,
    overwrite: bool,
    settings: DetectorSettings,
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
    from melanoma_tf.purification.detector.train import train_detector

    train_detector(records, run_dir, settings, resume=resume, overwrite=overwrite, log=click.echo)
    say_where(run_dir)


@train.command()
@recipe
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    required=True,
    help="A folder that build-records, purify or generate made; repeat to train on several.",
)
@options.run_dir()
@click.option(
    "--backbone",
    type=click.Choice(["resnet50", "efficientnetv2-b0", "mobilenetv3-small", "small"]),
    default="resnet50",
    show_default=True,
    help="small trains from scratch on a CPU.",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="imagenet, none, or a FILE: another run's model.keras, or the backbone's .weights.h5.",
)
@click.option(
    "--image-size",
    "image_size_px",
    type=click.IntRange(min=32),
    help="Side of the network's input in pixels.  [default: 7/8 of the records', at most 224]",
)
@click.option(
    "--resize",
    "resize_px",
    type=click.IntRange(min=0),
    default=0,
    help="Short side to which images are scaled before the square is cut.  [default: 8/7 of it]",
)
@options.epochs(30)
@options.batch_size(32)
@fitting_options
@options.average_momentum
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Stop after so many epochs without a better one; 0: never.",
)
@click.option(
    "--purify",
    type=click.Choice(["none", "test", "train", "both"]),
    default="none",
    show_default=True,
    help="Take hairs, rulers, ink and bubbles out of images: in training, at test time "
    "(validation, evaluate, and inside the exported model), or both.",
)
@click.option(
    "--purify-method",
    type=click.Choice(["classical", "network"]),
    default="classical",
    show_default=True,
    help="How.",
)
@click.option(
    "--purify-network",
    default="shipped",
    show_default=True,
    metavar="shipped|RUN",
    help="The network of --purify-method network; RUN: a finished inpainter run.",
)
@batches_options
@fold_options
@options.training_machine
def classifier(
    records: tuple[Path, ...],
    run_dir: Path,
    image_size_px: int | None,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Train a lesion classifier on the training split of a record folder.

    \b
    Example:
      melanoma-tf train classifier --records tfrecords/isic2017 --run-dir runs/first \\
          --backbone small --weights none --epochs 20
      melanoma-tf train classifier --records tfrecords/isic2017 --run-dir runs/paper \\
          --recipe bisla2019
      tensorboard --logdir runs

    The best epoch is the one with the highest mean AUC on the validation split, or on the fold that
    is held out. At the end probabilities are calibrated on the same images.
    """
    from melanoma_tf.classification.train import ClassifierSettings, train_classifier

    resolved = ClassifierSettings(image_size_px=image_size_px or 0, **settings)
    train_classifier(records, run_dir, resolved, resume=resume, overwrite=overwrite, log=click.echo)
    click.echo(f"model: {run_dir / 'model.keras'}   curves: tensorboard --logdir {run_dir}")


COMMANDS = (train,)
