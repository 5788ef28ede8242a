"""`melanoma-tf run`: whole experiments, resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, recipe_option, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.workflows.settings import (
    ISIC2017_SCALES,
    ISIC2018_SCALES,
    ExperimentSettings,
    Isic2017Settings,
    Isic2018Settings,
)

if TYPE_CHECKING:
    from melanoma_tf.workflows.experiment import Experiment
    from melanoma_tf.workflows.steps import PlannedStep

Command = Callable[..., Any]


@click.group()
def run() -> None:
    """Run a whole published experiment, from raw data sets to a report.

    \b
    Example:
      melanoma-tf run isic2017 --data isic2017=data/isic2017 --data ph2=data/ph2 --work work
    """


def _experiment_options(
    scales: Mapping[str, ExperimentSettings], sources: str
) -> Callable[[Command], Command]:
    """The options of an experiment: data, work folder, scale, and the settings of its scales."""
    decorators: list[Callable[[Command], Command]] = [
        click.option(
            "--data",
            multiple=True,
            metavar="NAME=DIR|DIR",
            help=f"Data set out of {sources} and its folder, or a folder with folders of these "
            "names; may be repeated. Not with --scale demo, which draws phantoms.",
        ),
        click.option(
            "--work", "work_dir", type=options.FOLDER, required=True, help="Folder of all outputs."
        ),
        recipe_option(
            scales,
            "small: a CPU within an hour or two; paper: as published, for a GPU; demo: phantoms, "
            "minutes.",
            option="--scale",
            start="Settings of this scale",
            shown_default="small",
        ),
        click.option(
            "--from", "from_step", metavar="STEP", help="Make this step again, and all after it."
        ),
        click.option(
            "--dry-run", is_flag=True, help="Print the steps with estimates, and write nothing."
        ),
        click.option(
            "--workers", type=int, help="Threads that prepare images; one per core by default."
        ),
        json_output("the steps and their states"),
        settings_options(type(scales["small"])),
    ]

    def decorate(command: Command) -> Command:
        for add in reversed(decorators):
            command = add(command)
        return command

    return decorate


@run.command("isic2017", cls=GroupedCommand)
@_experiment_options(ISIC2017_SCALES, "isic2017, ph2 and dermofit")
def isic2017(
    data: tuple[str, ...],
    work_dir: Path,
    from_step: str | None,
    dry_run: bool,
    workers: int | None,
    save_json: SaveJson,
    settings: Isic2017Settings,
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
    from melanoma_tf.workflows.isic2017 import plan_experiment

    experiment = plan_experiment(
        data, work_dir, settings, workers=_threads(workers), log=click.echo
    )
    _run(experiment, from_step, dry_run, save_json)


@run.command("isic2018", cls=GroupedCommand)
@_experiment_options(ISIC2018_SCALES, "ham10000 and isic2018")
def isic2018(
    data: tuple[str, ...],
    work_dir: Path,
    from_step: str | None,
    dry_run: bool,
    workers: int | None,
    save_json: SaveJson,
    settings: Isic2018Settings,
) -> None:
    """Run the ISIC 2018 experiment of Bisla et al. 2019: seven classes, Table 6.

    Records, copies purified by the network, coupled GANs with the novelty filter, baseline and
    proposed classifier in balanced batches, scores with and without purification of the test
    images, comparisons, export and report. Steps whose settings and inputs are unchanged are
    skipped, so that the same command goes on with an interrupted run.

    \b
    Example:
      melanoma-tf run isic2018 --data ham10000=data/ham10000 --work work
      melanoma-tf run isic2018 --scale demo --work demo-experiment
    """
    from melanoma_tf.workflows.isic2018 import plan_experiment

    experiment = plan_experiment(
        data, work_dir, settings, workers=_threads(workers), log=click.echo
    )
    _run(experiment, from_step, dry_run, save_json)


COMMANDS = (run,)


def _threads(workers: int | None) -> int:
    from melanoma_tf.records.build.threads import available_cores

    return available_cores() if workers is None else workers


def _run(experiment: Experiment, from_step: str | None, dry_run: bool, save_json: SaveJson) -> None:
    from melanoma_tf.workflows.experiment import preview_experiment, run_experiment

    for note in experiment.notes:
        click.echo(note)
    if dry_run:
        planned = preview_experiment(experiment, from_step)
        save_json(
            [{**each.to_json(), "estimate": dataclasses.asdict(each.step.estimate)}
             for each in planned]
        )  # fmt: skip
        _print_plan(planned, experiment.assumption)
        return
    run_experiment(experiment, from_step=from_step, log=click.echo)
    save_json([each.to_json() for each in preview_experiment(experiment)])
    click.echo(f"open {experiment.work_dir / 'report' / 'report.html'}")


def _print_plan(planned: Sequence[PlannedStep], assumption: str) -> None:
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
    click.echo(f"assumed: {assumption}; a rough estimate. Nothing was written.")
