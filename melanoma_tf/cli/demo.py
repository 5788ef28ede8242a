"""`melanoma-tf demo`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.evaluation.score_text import shown
from melanoma_tf.workflows.settings import DemoSettings


@click.command(cls=GroupedCommand)
@click.option(
    "--work-dir",
    type=options.FOLDER,
    default=Path("demo"),
    show_default=True,
    help="Folder of all outputs.",
)
@options.overwrite()
@settings_options(DemoSettings)
def demo(work_dir: Path, overwrite: bool, settings: DemoSettings) -> None:
    """Run the whole system on synthetic images: minutes on two cores, no data needed.

    Phantoms, records, a segmenter, purified copies, generated melanomas, two classifiers, their
    comparison, an exported model and the report: `run isic2017 --scale demo`, and a prediction. The
    same command goes on with an interrupted demo.

    \b
    Example:
      melanoma-tf demo --work-dir demo
    """
    from melanoma_tf.workflows.demo import run_demo

    result = run_demo(work_dir, settings, overwrite=overwrite, log=click.echo)
    made = [(name, str(work_dir / entry.output), f"{entry.seconds:.1f}")
            for name, entry in result.steps.items()]  # fmt: skip
    table("The demo made", ("step", "output", "seconds"), made)
    scores = result.results["scores"]
    areas = {name: {**each["auc"], "mean": each["mean_auc"]} for name, each in scores.items()}
    rows = [(name, *(shown(each[name], None) for each in areas.values()))
            for name in areas["proposed"]]  # fmt: skip
    table("AUC on unseen phantoms", ("class", *scores), rows)
    click.echo(f"open {work_dir / 'report' / 'report.html'}")
    click.echo(f"training curves:  tensorboard --logdir {work_dir / 'runs'}")
    click.echo(
        f"classify images:  melanoma-tf predict --model {work_dir / 'saved_models/proposed'} IMAGES"
    )


COMMANDS = (demo,)
