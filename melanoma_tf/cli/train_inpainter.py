"""`melanoma-tf train inpainter`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.train import train


def _weight(name: str, default: float, text: str) -> Any:
    return click.option(
        f"--{name}-weight", type=click.FloatRange(min=0), default=default, show_default=True,
        help=f"Of the loss {text}.",
    )  # fmt: skip


@train.command()
@options.record_folders()
@options.run_dir()
@options.squares_size()
@click.option("--base-filters", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="Encoder layers, each of which halves the size.",
)
@click.option(
    "--normalization", type=click.Choice(["batch", "none"]), default="batch", show_default=True
)
@click.option(
    "--start",
    type=click.Choice(["nothing", "filling"]),
    default="nothing",
    show_default=True,
    help="filling: the network refines the classical filling of the holes.",
)
@click.option("--full-size", is_flag=True, help="One more layer on either side, at full size.")
@options.start_weights
@click.option(
    "--features",
    default="imagenet",
    show_default=True,
    metavar="imagenet|none|FILE|RUN",
    help="Of the perceptual and the style loss: VGG-16, its weights' file, a classifier's run.",
)
@click.option(
    "--classical-fraction",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of the pairs that the classical method makes; the others have random masks.",
)
@click.option(
    "--detected-fraction",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Share of the random masks that are what the detector finds of them, gaps and all.",
)
@click.option("--augment/--no-augment", default=True, show_default=True)
@_weight("valid", 1.0, "outside the holes")
@_weight("hole", 6.0, "inside them")
@_weight("perceptual", 0.05, "on features")
@_weight("style", 120.0, "on Gram matrices of features")
@_weight("variation", 0.1, "on the holes' roughness")
@options.epochs(100)
@click.option(
    "--frozen-epochs",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="The last of the epochs: gradient descent, the encoder's normalisation frozen.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2e-4,
    show_default=True,
    help="Of Adam, before.",
)
@click.option(
    "--schedule", type=click.Choice(["constant", "cosine"]), default="constant", show_default=True
)
@click.option(
    "--frozen-learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-4,
    show_default=True,
    help="Of gradient descent.",
)
@options.batch_size(8)
@options.average_momentum
@options.training_machine
def inpainter(
    records: tuple[Path, ...], run_dir: Path, resume: bool, overwrite: bool, **settings: Any
) -> None:
    """Train the network that fills hairs, rulers and ink in `purify --method network`.

    \b
    Example:
      melanoma-tf train inpainter --records tfrecords/isic2017 --run-dir runs/filler \\
          --base-filters 16 --levels 4 --start filling --full-size --normalization none \\
          --features none --image-size 128
      tensorboard --logdir runs

    The best epoch is the one with the highest PSNR inside the holes of the validation split. The
    defaults are those of Bisla et al. 2019, Section 6.1, and Liu et al. 2018.
    """
    from melanoma_tf.purification.inpainter.train import InpainterSettings, train_inpainter

    resolved = InpainterSettings(**settings)
    train_inpainter(records, run_dir, resolved, resume=resume, overwrite=overwrite, log=click.echo)
    click.echo(f"model: {run_dir / 'model.keras'}   curves: tensorboard --logdir {run_dir}")


COMMANDS: tuple[click.Command, ...] = ()  # It has joined the group `train`.
