"""`melanoma-tf ablate`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.classification.settings import ClassifierSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.workflows.settings import AblationSettings


@click.command(cls=GroupedCommand)
@click.option(
    "--records", type=options.FOLDER, required=True, help="Record folder, whose test split counts."
)
@click.option(
    "--purified", type=options.FOLDER, help="What `purify` made of the records, for that factor."
)
@click.option(
    "--generated",
    type=options.FOLDER,
    multiple=True,
    help="Folder that `generate` made, for that factor; may be repeated.",
)
@click.option(
    "--work", "work_dir", type=options.FOLDER, required=True, help="Folder of all outputs."
)
@click.option("--from", "from_step", metavar="STEP", help="Make this step again, and all after it.")
@click.option("--dry-run", is_flag=True, help="Print the steps, and write nothing.")
@json_output("the steps and their states")
@settings_options(AblationSettings)
@settings_options(ClassifierSettings, parameter="training")
def ablate(
    records: Path,
    purified: Path | None,
    generated: tuple[Path, ...],
    work_dir: Path,
    from_step: str | None,
    dry_run: bool,
    save_json: SaveJson,
    settings: AblationSettings,
    training: ClassifierSettings,
) -> None:
    """Train one classifier with parts of the method on and off, and report what each changes.

    Trainings that are done are skipped, so that the same command goes on with an interrupted run.

    \b
    Example:
      melanoma-tf ablate --records tfrecords/isic2017 --purified tfrecords/isic2017-purified
        --generated tfrecords/generated --work ablation --backbone efficientnet-lite0
        --image-size 96 --epochs 10
    """
    from melanoma_tf.workflows.ablation import (
        AblationRecords,
        plan_ablation,
        preview_ablation,
        run_ablation,
    )

    folders = AblationRecords(records, purified, generated)
    ablation = plan_ablation(folders, work_dir, settings, training, log=click.echo)
    if dry_run:
        planned = preview_ablation(ablation, from_step)
        save_json([each.to_json() for each in planned])
        rows = [(each.step.name, each.step.output, each.state) for each in planned]
        table("Steps", ("step", "output", "state"), rows)
        count = len(ablation.variants) * len(ablation.seeds)
        click.echo(f"{count} trainings in all. Nothing was written.")
        return
    run_ablation(ablation, from_step=from_step, log=click.echo)
    save_json([each.to_json() for each in preview_ablation(ablation)])
    click.echo(f"open {work_dir / 'report' / 'report.html'}")


COMMANDS = (ablate,)
