"""`melanoma-tf report`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.classification.evaluation_settings import ReportSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.derived import GroupedCommand, settings_options


@click.command(cls=GroupedCommand)
@options.run_dir("Evaluated run folder; repeat for the members of an ensemble.", multiple=True)
@options.output(
    "Folder with predictions.csv and metrics.json, to which the report is written.  "
    "[default: the run folder]",
    required=False,
)
@options.records(
    "Current place of a record folder that was moved; repeat for several.", required=False
)
@options.overwrite()
@settings_options(ReportSettings)
def report(
    run_dirs: tuple[Path, ...],
    output: Path | None,
    records: tuple[Path, ...],
    overwrite: bool,
    settings: ReportSettings,
) -> None:
    """Write the report of an evaluated run again: report.html, and TensorBoard's log.

    `evaluate` writes one already; this one can show other examples, or leave pictures out.

    \b
    Example:
      melanoma-tf report --run-dir runs/first --examples 0 --overwrite
    """
    from melanoma_tf.classification.report import report_run

    path = report_run(
        run_dirs, output=output, moved=records, examples=settings.examples, overwrite=overwrite
    )
    click.echo(f"wrote {path}")


COMMANDS = (report,)
