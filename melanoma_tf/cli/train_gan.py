"""`melanoma-tf train gan` and `train coupled-gan`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.train import train

_WEIGHT = click.FloatRange(min=0)
_TRAINING = (
    options.records(),
    options.run_dir(),
    click.option(
        "--image-size",
        "image_size_px",
        type=click.Choice(["64", "128", "256"]),
        default="256",
        show_default=True,
        help="Side of the images in pixels; 64 suits a CPU.",
    ),
    options.epochs(300),
    click.option(
        "--steps-per-epoch",
        type=click.IntRange(min=0),
        default=0,
        help="Rounds in an epoch.  [default: one pass over the largest class]",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=2),
        default=32,
        show_default=True,
        help="Images of each class in a round, over all replicas.",
    ),
    click.option(
        "--learning-rate",
        type=click.FloatRange(min=0, min_open=True),
        default=2e-4,
        show_default=True,
        help="Of both networks' Adam.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "cosine"]),
        default="constant",
        show_default=True,
        help="constant as in the paper; cosine: a short rise, then down to 0, for finer images.",
    ),
)
_STABILISERS = (
    click.option(
        "--label-smoothing",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.1,
        show_default=True,
        help="One-sided: real images are to be called real with 1 less this.",
    ),
    click.option("--feature-matching", type=_WEIGHT, default=0.0, help="Weight in the loss."),
    click.option("--historical-averaging", type=_WEIGHT, default=0.0, help="Weight likewise."),
    click.option("--minibatch-kernels", type=click.IntRange(min=0), default=0,
                 help="Kernels of minibatch discrimination."),
    click.option("--spectral-normalization", is_flag=True,
                 help="Of the discriminator, in place of batch normalisation."),
    click.option("--instance-noise", type=_WEIGHT, default=0.0,
                 help="Standard deviation of noise on what the discriminator sees."),
    click.option("--differentiable-augmentation/--no-differentiable-augmentation",
                 default=True, show_default=True,
                 help="Change what the discriminator sees: for data sets of hundreds."),
    click.option("--average-momentum", type=click.FloatRange(0, 1, max_open=True),
                 default=0.99, show_default=True,
                 help="Of the moving average of the weights that images are drawn from."),
    click.option("--patience", type=click.IntRange(min=0), default=0,
                 help="Stop after so many epochs without a smaller distance; 0: never."),
    click.option("--collapse-fraction", type=click.FloatRange(0, 1), default=0.5,
                 show_default=True,
                 help="Warn below this share of the real images' diversity."),
)  # fmt: skip


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands have."""
    for option in reversed((*_TRAINING, *_STABILISERS, options.training_machine)):
        command = option(command)
    return command


def _latent_size(default: int) -> Callable[..., Any]:
    return click.option(
        "--latent-size",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Length of the latent vectors.",
    )


@train.command()
@click.option("--class", "class_name", required=True, help="The class to learn, as melanoma.")
@_latent_size(10)
@_shared
def gan(class_name: str, **given: Any) -> None:
    """Train a DCGAN on the real training images of one class.

    \b
    Example:
      melanoma-tf train gan --records tfrecords/isic2017 --class melanoma \\
          --run-dir runs/gan-melanoma --image-size 64 --epochs 100
      melanoma-tf generate --run-dir runs/gan-melanoma --count 350 --output tfrecords/generated

    The networks of Bisla et al. 2019, Table 2. The epoch with the smallest sliced Wasserstein
    distance to held-out real images is kept.
    """
    _train((class_name,), coupled=False, **given)


@train.command("coupled-gan")
@click.option(
    "--class",
    "class_names",
    multiple=True,
    help="A class to learn; repeat for several.  [default: all classes of the records]",
)
@_latent_size(100)
@_shared
def coupled_gan(class_names: tuple[str, ...], **given: Any) -> None:
    """Train coupled DCGANs, which share layers, on the real training images of several classes.

    \b
    Example:
      melanoma-tf train coupled-gan --records tfrecords/ham10000 --run-dir runs/gan-ham10000 \\
          --image-size 64 --batch-size 10

    The networks of Bisla et al. 2019, Table 5: a latent vector gives one image of each class.
    """
    _train(class_names, coupled=True, **given)


def _train(
    class_names: tuple[str, ...],
    *,
    coupled: bool,
    records: Path,
    run_dir: Path,
    image_size_px: str,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    from melanoma_tf.generation.train import GanSettings, train_gan

    resolved = GanSettings(class_names, coupled, int(image_size_px), **settings)
    train_gan(records, run_dir, resolved, resume=resume, overwrite=overwrite, log=click.echo)
    click.echo(f"generator: {run_dir / 'model.keras'}   grids: tensorboard --logdir {run_dir}")


COMMANDS: tuple[click.Command, ...] = ()  # They have joined the group `train`.
