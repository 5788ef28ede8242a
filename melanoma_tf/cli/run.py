"""`melanoma-tf run`: whole experiments, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, recipe_option, settings_options
from melanoma_tf.workflows.settings import SCALES, ExperimentSettings

if TYPE_CHECKING:
    from melanoma_tf.workflows.isic2017 import Experiment


@click.group()
def run() -> None:
    """Run a whole published experiment, from raw data sets to a report.

    \b
    Example:
      melanoma-tf run isic2017 --data isic2017=data/isic2017 --data ph2=data/ph2 --work work
    """


@run.command("isic2017", cls=GroupedCommand)
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=DIR|DIR",
    help="Data set out of isic2017, ph2 and dermofit and its folder, or a folder with folders of "
    "these names; may be repeated. Not with --scale demo, which draws phantoms.",
)
@click.option(
    "--work", "work_dir", type=options.FOLDER, required=True, help="Folder of all outputs."
)
@recipe_option(
    SCALES,
    "small: a CPU within an hour or two; paper: as published, for a GPU; demo: phantoms, minutes.",
    option="--scale",
    start="Settings of this scale",
    shown_default="small",
)
@click.option("--from", "from_step", metavar="STEP", help="Make this step again, and all after it.")
@click.option("--dry-run", is_flag=True, help="Print the steps with estimates, and write nothing.")
@click.option("--workers", type=int, help="Threads that prepare images; one per core by default.")
@settings_options(ExperimentSettings)
def isic2017(
    data: tuple[str, ...],
    work_dir: Path,
    from_step: str | None,
    dry_run: bool,
    workers: int | None,
    settings: ExperimentSettings,
) -> None:
    """Run the ISIC 2017 experiment of Bisla et al. 2019: Tables 3 and 4.

    Records, segmenter, purified copies, GANs with the novelty filter, baseline and proposed
    classifier, scores, comparison, export and report. Steps whose settings and inputs are unchanged
    are skipped, so that the same command goes on with an interrupted run.

    \b
    Example:
      melanoma-tf run isic2017 --data isic2017=data/isic2017 --data ph2=data/ph2 --work work
      melanoma-tf run isic2017 --scale demo --work demo-experiment
    """
    from melanoma_tf.records.build.threads import available_cores
    from melanoma_tf.workflows.isic2017 import plan_experiment, run_experiment

    experiment = plan_experiment(
        data,
        work_dir,
        settings,
        workers=available_cores() if workers is None else workers,
        log=click.echo,
    )
    for note in experiment.notes:
        click.echo(note)
    if dry_run:
        _print_plan(experiment, from_step)
        return
    run_experiment(experiment, from_step=from_step, log=click.echo)
    click.echo(f"open {work_dir / 'report' / 'report.html'}")


COMMANDS = (run,)


def _print_plan(experiment: Experiment, from_step: str | None) -> None:
    from melanoma_tf.workflows.isic2017 import preview_experiment

    planned = preview_experiment(experiment, from_step)
    rows = [
        (each.step.name, each.step.output,
         f"{each.state} ({each.detail})" if each.detail else each.state,
         "" if each.is_done else f"{each.step.estimate.seconds / 60:.1f}",
         "" if each.is_done else f"{each.step.estimate.megabytes:.0f}")
        for each in planned
    ]  # fmt: skip
    table("Steps", ("step", "output", "state", "minutes", "MB"), rows)
    left = [each.step.estimate for each in planned if not each.is_done]
    minutes = sum(each.seconds for each in left) / 60
    megabytes = sum(each.megabytes for each in left)
    click.echo(f"left: {len(left)} steps, about {minutes:.0f} minutes and {megabytes:.0f} MB")
    click.echo(f"assumed: {experiment.assumption}; a rough estimate. Nothing was written.")
