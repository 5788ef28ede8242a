"""`melanoma-tf train occlusion-detector`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.train import train


@train.command("occlusion-detector")
@options.record_folders()
@options.run_dir()
@options.squares_size()
@click.option("--base-filters", type=click.IntRange(min=1), default=12, show_default=True)
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often the size is halved.",
)
@options.start_weights
@click.option(
    "--clean-fraction",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Share of the squares that nothing is drawn on.",
)
@click.option(
    "--coarse-fraction",
    type=click.FloatRange(0, 1),
    default=0.4,
    show_default=True,
    help="Share of the squares that are shown as if they came from a small image.",
)
@click.option("--augment/--no-augment", default=True, show_default=True)
@options.epochs(20)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-3,
    show_default=True,
    help="Of Adam.",
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine"]),
    default="cosine",
    show_default=True,
    help="cosine: a short rise, then down to 0.",
)
@options.batch_size(4)
@options.average_momentum
@options.training_machine
def occlusion_detector(
    records: tuple[Path, ...], run_dir: Path, resume: bool, overwrite: bool, **settings: Any
) -> None:
    """Train the network that finds hairs, rulers and ink in `purify --method network`.

    \b
    Example:
      melanoma-tf train occlusion-detector --records tfrecords/isic2017 --run-dir runs/finder
      tensorboard --logdir runs

    It learns from occlusions drawn at random on the images, which need no masks; what the classical
    detector finds on them is left out of account. The best epoch is the one with the highest Dice
    coefficient on the validation split.
    """
    from melanoma_tf.purification.detector.train import DetectorSettings, train_detector

    resolved = DetectorSettings(**settings)
    train_detector(records, run_dir, resolved, resume=resume, overwrite=overwrite, log=click.echo)
    click.echo(f"model: {run_dir / 'model.keras'}   curves: tensorboard --logdir {run_dir}")


COMMANDS: tuple[click.Command, ...] = ()  # It has joined the group `train`.
