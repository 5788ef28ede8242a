"""`melanoma-tf plan`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from melanoma_tf.classification.evaluation_settings import PlanSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.core.errors import MelanomaError


@click.command(cls=GroupedCommand)
@options.records(
    "Record folder; the training images of several are added up.  [default: the counts of the "
    "paper]",
    required=False,
)
@click.option("--counts", type=options.FILE, help="JSON: class -> origin -> images.")
@json_output("the numbers of images")
@settings_options(PlanSettings)
def plan(
    records: tuple[Path, ...], counts: Path | None, save_json: SaveJson, settings: PlanSettings
) -> None:
    """Print how a training set grows by purification, generation, mirroring and crops.

    \b
    Example:
      melanoma-tf plan
      melanoma-tf plan --records tfrecords/isic2017-purified --records tfrecords/generated

    Figure 7 of Bisla et al. 2019. A folder that `purify` made holds the originals too.
    """
    from melanoma_tf.classification.expansion_plan import (
        expansion_plan_named,
        generated_fraction,
        grow,
    )

    if records and counts:
        raise MelanomaError("expected --records or --counts; found both")
    name = settings.expansion
    chosen = expansion_plan_named(name)
    rows = grow(_counts(records, counts, name), chosen)
    columns = ("class", "real", "purified", "generated", "mirrored", f"x{len(chosen.views)}")
    names = ("class_name", "real", "purified", "generated", "mirrored", "examples")
    cells = [tuple(getattr(row, name) for name in names) for row in rows]
    total = ("all", *(sum(row[column] for row in cells) for column in range(1, len(names))))
    save_json(
        {
            "expansion": name,
            "views": len(chosen.views),
            "classes": [dict(zip(names, row)) for row in cells],
            "generated_fraction": generated_fraction(rows),
        }
    )
    table(f"training examples, expansion {name}", columns, [*cells, total])
    click.echo(f"generated: {generated_fraction(rows):.0%} of the examples")
    click.echo(f"`train classifier --expansion {name}` makes epochs of exactly these examples")


def _counts(
    records: tuple[Path, ...], counts: Path | None, expansion: str
) -> Mapping[str, Mapping[str, Any]]:
    from melanoma_tf.classification.expansion_plan import PAPER_COUNTS, read_counts

    if counts is not None:
        return read_counts(counts)
    if records:
        from melanoma_tf.classification.batches import count_by_origin
        from melanoma_tf.records.record_set import RecordSet

        return count_by_origin(RecordSet.read(records))
    if expansion not in PAPER_COUNTS:
        raise MelanomaError(f"expected --records or --counts for the expansion {expansion}")
    return PAPER_COUNTS[expansion]


COMMANDS = (plan,)
