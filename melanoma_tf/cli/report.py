"""`melanoma-tf report`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options


@click.command()
@click.option(
    "--run-dir",
    type=options.FOLDER,
    multiple=True,
    required=True,
    help="An evaluated run folder; repeat for the members of an ensemble.",
)
@click.option(
    "--output",
    type=options.FOLDER,
    help="Folder of predictions.csv and metrics.json, where the report goes.  "
    "[default: the run folder]",
)
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    help="Where record folders lie now, if they were moved; repeat for several.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=6,
    show_default=True,
    help="Pictures of errors of each kind; 0 leaves pictures out.",
)
@options.overwrite
def report(
    run_dir: tuple[Path, ...],
    output: Path | None,
    records: tuple[Path, ...],
    examples: int,
    overwrite: bool,
) -> None:
    """Make the report on an evaluated run again: report.html, and TensorBoard's log.

    `evaluate` has made one already; this shows other examples, or leaves pictures out.

    \b
    Example:
      melanoma-tf report --run-dir runs/first --examples 0 --overwrite
    """
    from melanoma_tf.classification.report import report_run

    path = report_run(run_dir, output=output, moved=records, examples=examples, overwrite=overwrite)
    click.echo(f"wrote {path}")


COMMANDS = (report,)
