"""`melanoma-tf evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table


@click.command()
@options.run_dir()
@options.records()
@options.split
@click.option(
    "--output", type=options.FOLDER, help="Folder of the two files.  [default: the run folder]"
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@options.overwrite
def evaluate(run_dir: Path, records: Path, output: Path | None, **settings: Any) -> None:
    """Score a trained classifier: writes predictions.csv and metrics.json.

    \b
    Example:
      melanoma-tf evaluate --run-dir runs/first --records tfrecords/isic2017 --split test
    """
    from melanoma_tf.recipes.evaluation import evaluate_classifier

    metrics = evaluate_classifier(run_dir, records, output=output, **settings)
    show_metrics(metrics)
    click.echo(f"wrote predictions.csv and metrics.json in {output or run_dir}")


def show_metrics(metrics: dict[str, Any]) -> None:
    """Print what `evaluate_classifier` returns."""
    rows = [
        (name, metrics["n_per_class"][name], _shown(metrics["auc"][name]))
        for name in metrics["classes"]
    ]
    table(f"{metrics['n']} images of split {metrics['split']}", ("class", "images", "AUC"), rows)
    for key in ("mean_auc", "balanced_accuracy", "accuracy"):
        click.echo(f"{key.replace('_', ' ')}: {_shown(metrics[key])}")


def _shown(value: float | None) -> str:
    return "undefined: no example of the class" if value is None else f"{value:.3f}"


COMMANDS = (evaluate,)
