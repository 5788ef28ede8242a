"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY_PATH = click.Path(path_type=Path)

overwrite = click.option("--overwrite", is_flag=True, help="Replace output that is there.")
seed = click.option("--seed", default=0, show_default=True, help="Same seed, same result.")
split = click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="test",
    show_default=True,
    help="The split of the records.",
)


Command = Callable[..., Any]


bootstrap_seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def classifier_predictions(command: Command) -> Command:
    """How the predictions of classifiers are read, for whatever is then computed of them."""
    stack = (
        click.option(
            "--truth", type=ANY_PATH, help="Official label file (ISIC 2017-2020) or image_id,label."
        ),
        click.option("--taxonomy", help="Expect exactly its classes, as isic2017 or isic2018."),
        click.option("--softmax", "use_softmax", is_flag=True, help="The columns are logits."),
        click.option(
            "--min-tpr",
            type=click.FloatRange(0, 1, max_open=True),
            default=0.8,
            show_default=True,
            help="Sensitivity above which ISIC 2024's partial AUC is taken.",
        ),
    )
    for option in reversed(stack):
        command = option(command)
    return command


def epochs(default: int) -> Callable[[Command], Command]:
    """`--epochs`, of a training."""
    return click.option(
        "--epochs",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Passes over the training split.",
    )


def batch_size(default: int) -> Callable[[Command], Command]:
    """`--batch-size`, of a training."""
    return click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Images a step, over all replicas.",
    )


average_momentum = click.option(
    "--average-momentum",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Of a moving average of the weights, which is then validated and kept; 0: none.",
)


def training_machine(command: Command) -> Command:
    """What every training has: where it computes, and what becomes of a run that is there."""
    stack = (
        click.option(
            "--strategy",
            type=click.Choice(["single", "mirrored"]),
            default="single",
            show_default=True,
            help="mirrored: one replica on every visible GPU.",
        ),
        click.option(
            "--replicas",
            type=click.IntRange(min=0),
            default=0,
            help="Devices to mirror on; without GPUs the CPU is split.  [default: all GPUs]",
        ),
        click.option(
            "--mixed-precision",
            is_flag=True,
            help="Compute in float16 (bfloat16 on a CPU).",
        ),
        click.option("--resume", is_flag=True, help="Go on after the last finished epoch."),
        seed,
        overwrite,
    )
    for option in reversed(stack):
        command = option(command)
    return command


def run_dir(required: bool = True) -> Callable[[Command], Command]:
    """`--run-dir`, the run folder."""
    return click.option(
        "--run-dir", type=FOLDER, required=required, help="The run folder, runs/NAME."
    )


def records() -> Callable[[Command], Command]:
    """`--records`, a record folder."""
    return click.option(
        "--records", type=FOLDER, required=True, help="A folder that build-records made."
    )
