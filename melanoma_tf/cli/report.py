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
    help="Folder with predictions.csv and metrics.json, to which the report is written.  "
    "[default: the run folder]",
)
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    help="Current place of a record folder that was moved; repeat for several.",
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
    """Write the report of an evaluated run again: report.html, and TensorBoard's log.

    `evaluate` writes one already; this one can show other examples, or leave pictures out.

    \b
    Example:
      melanoma-tf report --run-dir runs/first --examples 0 --overwrite
    """
    from melanoma_tf.classification.report import report_run

    path = report_run(run_dir, output=output, moved=records, examples=examples, overwrite=overwrite)
    click.echo(f"wrote {path}")


COMMANDS = (report,)
