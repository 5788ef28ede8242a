"""How a classifier is fitted, as options of `melanoma-tf train classifier`."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import click

from melanoma_tf.cli.options import Command

# Defaults of options, by recipe. Bisla et al. 2019 and the code that came with it.
RECIPES: dict[str, dict[str, Any]] = {
    "bisla2019": {
        "backbone": "resnet50",
        "weights": "imagenet",
        "image_size_px": 224,
        "resize_px": 400,
        "epochs": 90,
        "batch_size": 50,
        "optimizer": "sgd",
        "learning_rate": 1e-3,
        "schedule": "step",
        "step_epochs": 30,
    }
}


def _take_recipe(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        ctx.default_map = {**(ctx.default_map or {}), **RECIPES[value]}


recipe = click.option(
    "--recipe",
    type=click.Choice(sorted(RECIPES)),
    is_eager=True,
    expose_value=False,
    callback=_take_recipe,
    help="Other defaults. bisla2019: ResNet-50 from ImageNet weights, 224 px cut out of 400, "
    "SGD at 1e-3 divided by 10 every 30 of 90 epochs, batches of 50. Options that are given count.",
)

_STACK = (
    click.option(
        "--optimizer",
        type=click.Choice(["adam", "adamw", "sgd"]),
        default="adam",
        show_default=True,
        help="sgd has a momentum of 0.9.",
    ),
    click.option(
        "--learning-rate",
        type=click.FloatRange(min=0, min_open=True),
        default=1e-3,
        show_default=True,
        help="The highest, where a schedule changes it.",
    ),
    click.option(
        "--weight-decay",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Of adamw and sgd.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["constant", "step", "cosine"]),
        default="constant",
        show_default=True,
        help="step: divided by 10 every --step-epochs; cosine: down to 0.",
    ),
    click.option("--step-epochs", type=click.IntRange(min=1), default=30, show_default=True),
    click.option(
        "--warm-up-epochs",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="In which a cosine schedule first rises.",
    ),
    click.option(
        "--loss",
        type=click.Choice(["cross-entropy", "focal"]),
        default="cross-entropy",
        show_default=True,
    ),
    click.option(
        "--focal-gamma",
        type=click.FloatRange(min=0),
        default=2.0,
        show_default=True,
        help="How much less the focal loss counts what is recognised already.",
    ),
    click.option(
        "--label-smoothing",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        show_default=True,
    ),
    click.option(
        "--class-weights",
        type=click.Choice(["none", "balanced"]),
        default="none",
        show_default=True,
        help="balanced: the loss in inverse proportion to the classes' sizes.",
    ),
    click.option(
        "--frozen-epochs",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Train only the new last layer for so long, then all of the network.",
    ),
)


def fitting_options(command: Command) -> Command:
    """The options of `OptimizationSettings`, handed on as one `fitting`."""

    @functools.wraps(command)
    def with_fitting(**given: Any) -> Any:
        from melanoma_tf.classification.optimization import OptimizationSettings

        names = [field.name for field in dataclasses.fields(OptimizationSettings)]
        return command(
            fitting=OptimizationSettings(**{name: given.pop(name) for name in names}), **given
        )

    for option in reversed(_STACK):
        with_fitting = option(with_fitting)
    return with_fitting
