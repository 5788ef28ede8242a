"""`melanoma-tf plan`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.core.errors import MelanomaError


@click.command()
@click.option(
    "--records",
    multiple=True,
    type=options.FOLDER,
    help="A record folder; repeat for several, whose training images are added up. "
    "[default: the paper's own counts]",
)
@click.option("--counts", type=options.FILE, help="JSON: class -> origin -> images.")
@click.option(
    "--recipe",
    default="isic2017",
    show_default=True,
    help="How the set grows: isic2017, isic2018, isic2019 or melanoma, by its classes.",
)
def plan(records: tuple[Path, ...], counts: Path | None, recipe: str) -> None:
    """Print how a training set grows by purification, generation, mirroring and crops.

    \b
    Example:
      melanoma-tf plan
      melanoma-tf plan --records tfrecords/isic2017-purified --records tfrecords/generated

    Figure 7 of Bisla et al. 2019. A folder that `purify` made holds the originals too.
    """
    from melanoma_tf.classification.expansion_plan import generated_fraction, grow, recipe_named

    if records and counts:
        raise MelanomaError("expected --records or --counts; found both")
    chosen = recipe_named(recipe)
    rows = grow(_counts(records, counts, recipe), chosen)
    columns = ("class", "real", "purified", "generated", "mirrored", f"x{len(chosen.views)}")
    names = ("class_name", "real", "purified", "generated", "mirrored", "examples")
    cells = [tuple(getattr(row, name) for name in names) for row in rows]
    total = ("all", *(sum(row[column] for row in cells) for column in range(1, len(names))))
    table(f"training examples, recipe {recipe}", columns, [*cells, total])
    click.echo(f"generated: {generated_fraction(rows):.0%} of the examples")
    click.echo(f"`train classifier --plan {recipe}` makes epochs of exactly these examples")


def _counts(records: tuple[Path, ...], counts: Path | None, recipe: str) -> Mapping[str, Any]:
    from melanoma_tf.classification.expansion_plan import ORIGINS, PAPER_COUNTS, read_counts

    if counts is not None:
        return read_counts(counts)
    if not records:
        if recipe not in PAPER_COUNTS:
            raise MelanomaError(f"expected --records or --counts for the recipe {recipe}")
        return PAPER_COUNTS[recipe]
    from melanoma_tf.records.manifest import read_manifest

    manifests = [read_manifest(folder) for folder in records]
    for folder, manifest in zip(records, manifests):
        if manifest.class_names != manifests[0].class_names:
            raise MelanomaError(
                f"{folder}: expected the classes of {records[0]}, "
                f"{', '.join(manifests[0].class_names)}; found {', '.join(manifest.class_names)}"
            )
    return {
        name: {
            origin: sum(
                one.count(split="train", class_name=name, origin=origin) for one in manifests
            )
            for origin in ORIGINS
        }
        for name in manifests[0].class_names
    }


COMMANDS = (plan,)
