"""`melanoma-tf train segmenter`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.augmentation.settings import SEGMENTER_PRESETS
from melanoma_tf.cli import options
from melanoma_tf.cli.train import train


@train.command()
@options.records()
@options.run_dir()
@click.option(
    "--image-size",
    "image_size_px",
    type=click.IntRange(min=32),
    default=380,
    show_default=True,
    help="Side of the network's input in pixels: 228, 236, ... (64, 72, ... with --padding same).",
)
@click.option(
    "--base-filters",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Of the first layer; all widths grow with it. 16 suits a CPU.",
)
@click.option(
    "--padding",
    type=click.Choice(["valid", "same"]),
    default="valid",
    show_default=True,
    help="valid as in the paper; same allows small inputs.",
)
@click.option(
    "--normalization",
    type=click.Choice(["none", "batch", "instance"]),
    default="none",
    show_default=True,
    help="none as in the paper.",
)
@click.option("--dropout", type=click.FloatRange(0, 0.9), default=0.0, show_default=True)
@click.option("--colour-constancy", is_flag=True, help="Divide out the light's colour first.")
@click.option("--skin-white-balance", is_flag=True, help="Divide out the skin's colour first.")
@click.option("--chroma", is_flag=True, help="Hue and saturation as a point, with no jump at red.")
@options.start_weights
@options.epochs(100)
@options.batch_size(8)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-4,
    show_default=True,
    help="Of Adam.",
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine"]),
    default="constant",
    show_default=True,
    help="cosine: a short rise, then down to 0.",
)
@click.option(
    "--overlap",
    type=click.Choice(["none", "dice", "jaccard"]),
    default="none",
    show_default=True,
    help="Add one minus this soft overlap to the cross-entropy.",
)
@click.option("--label-smoothing", type=click.FloatRange(0, 0.5), default=0.0, show_default=True)
@click.option(
    "--augment",
    type=click.Choice(list(SEGMENTER_PRESETS)),
    default="full",
    show_default=True,
    help="mild: small rotations, scales and colour changes; geometric: flips, rotation, scale, "
    "elastic warp; photometric: also light, colour, focus; full: also dark corners, hairs, rulers, "
    "ink, stickers; skin: also red, blotched, freckled skin, pale lesions, gel; devices: also "
    "random convolutions, for images of other devices.",
)
@options.average_momentum
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.4,
    show_default=True,
    help="A pixel is lesion above this probability; 0: the best on the validation split.",
)
@options.training_machine
def segmenter(records: Path, run_dir: Path, resume: bool, overwrite: bool, **settings: Any) -> None:
    """Train a lesion segmenter on the training split of a record folder with masks.

    \b
    Example:
      melanoma-tf train segmenter --records tfrecords/isic2017 --run-dir runs/outlines \\
          --image-size 228 --base-filters 16 --overlap dice --average-momentum 0.99
      tensorboard --logdir runs

    The best epoch is the one with the highest mean Jaccard index on the validation split. The
    defaults are those of Bisla et al. 2019.
    """
    from melanoma_tf.segmentation.train import SegmenterSettings, train_segmenter

    resolved = SegmenterSettings(**settings)
    train_segmenter(records, run_dir, resolved, resume=resume, overwrite=overwrite, log=click.echo)
    click.echo(f"model: {run_dir / 'model.keras'}   curves: tensorboard --logdir {run_dir}")


COMMANDS: tuple[click.Command, ...] = ()  # It has joined the group `train`.
