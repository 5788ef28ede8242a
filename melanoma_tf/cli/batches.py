"""Options that say how training batches are made."""

from __future__ import annotations

import functools
from typing import Any

import click

from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS
from melanoma_tf.cli.options import Command

_OPTIONS = (
    click.option(
        "--origin",
        "origins",
        type=click.Choice(["real", "purified", "generated"]),
        multiple=True,
        help="Train only on images of this origin; repeat for several.  [default: all]",
    ),
    click.option(
        "--plan",
        default="",
        metavar="RECIPE",
        help="isic2017, isic2018, isic2019 or melanoma: an epoch holds every image in the views "
        "that `melanoma-tf plan` counts, in place of random crops and flips.",
    ),
    click.option(
        "--balance",
        type=click.Choice(["none", "batch"]),
        default="none",
        show_default=True,
        help="batch: equally many images of each class in every mini-batch.",
    ),
    click.option(
        "--generated-fraction",
        type=float,
        metavar="SHARE",
        help="With --balance batch: at most this share of each class is generated, as 0.26.",
    ),
    click.option(
        "--augment",
        "preset_name",
        type=click.Choice(list(CLASSIFIER_PRESETS)),
        default="standard",
        show_default=True,
        help="standard: random crops and flips. strong: turned, scaled, warped, recoloured and "
        "partly hidden as well.",
    ),
    click.option("--no-augment", is_flag=True, help="The same as --augment none."),
    click.option("--cutout", type=float, metavar="SHARE", help="Share of images partly hidden."),
    click.option("--mixup", type=float, metavar="ALPHA", help="Average images in pairs, as 0.2."),
    click.option("--cutmix", type=float, metavar="ALPHA", help="Paste images into others, as 1."),
)


def batches_options(command: Command) -> Command:
    """Add these options to a command, which takes them as one `BatchSettings`, `batches`."""

    @functools.wraps(command)
    def with_batches(
        origins: tuple[str, ...],
        plan: str,
        balance: str,
        generated_fraction: float | None,
        preset_name: str,
        no_augment: bool,
        cutout: float | None,
        mixup: float | None,
        cutmix: float | None,
        **arguments: Any,
    ) -> Any:
        from melanoma_tf.classification.batches import BatchSettings, augmentation_of

        return command(
            batches=BatchSettings(
                tuple(dict.fromkeys(origins)),
                plan,
                balance,
                generated_fraction,
                augmentation_of(
                    "none" if no_augment else preset_name,
                    cutout=cutout,
                    mixup=mixup,
                    cutmix=cutmix,
                ),
            ),
            **arguments,
        )

    for option in reversed(_OPTIONS):
        with_batches = option(with_batches)
    return with_batches
