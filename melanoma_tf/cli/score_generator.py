"""`melanoma-tf score generator`."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.cli.score import score
from melanoma_tf.generation.settings import GeneratorScoreSettings


@score.command(cls=GroupedCommand)
@options.run_dir()
@options.records()
@settings_options(GeneratorScoreSettings)
@json_output("the scores")
def generator(
    run_dir: Path,
    records: tuple[Path, ...],
    save_json: SaveJson,
    settings: GeneratorScoreSettings,
) -> None:
    """Score a trained generator against held-out real images.

    \b
    Example:
      melanoma-tf score generator --run-dir runs/gan-melanoma --records tfrecords/isic2017

    The column "real against real" has the floor of each metric: its value for real training images
    in place of the generated ones.
    """
    from melanoma_tf.generation.scores import score_generator

    scores = score_generator(run_dir, records, settings)
    save_json(scores)
    rows = [
        (name, metric, f"{value['value']:.4g}", f"{value['floor']:.4g}")
        for name, metrics in scores["classes"].items()
        for metric, value in metrics.items()
        if isinstance(value, dict)
    ]
    title = f"features: {scores['extractor']}"
    table(title, ("class", "metric", "generated", "real against real"), rows)


COMMANDS: tuple[click.Command, ...] = ()  # It has joined the group `score`.
