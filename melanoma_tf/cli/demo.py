"""`melanoma-tf demo`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
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
    """Run the whole chain on synthetic images: minutes on two cores, no data needed.

    \b
    Example:
      melanoma-tf demo --work-dir demo

    `melanoma-tf run isic2017 --scale demo` adds a segmenter, purified and generated images, and a
    comparison with a baseline.
    """
    from melanoma_tf.workflows.demo import run_demo

    result = run_demo(work_dir, settings, overwrite=overwrite, log=click.echo)
    made = [(name, str(path), f"{seconds:.1f}") for name, path, seconds in result.stages]
    table("The demo made", ("stage", "output", "seconds"), made)
    aucs = {**result.metrics["auc"], "mean": result.metrics["mean_auc"]}
    scores = [(name, f"{value:.3f}") for name, value in aucs.items() if value is not None]
    table("Scores on unseen phantoms", ("class", "AUC"), scores)
    click.echo(f"training curves:  tensorboard --logdir {work_dir / 'runs'}")
    click.echo(f"classify images:  melanoma-tf predict --model {work_dir}/saved_models/demo IMAGES")


COMMANDS = (demo,)
