"""`compare`: differences between two classifiers on the same images."""

from __future__ import annotations

from pathlib import Path

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.cli.score import FILE, read_inputs, rounds_bar
from melanoma_tf.evaluation.settings import CompareSettings

# The metrics shown on the screen; the JSON file has all.
SHOWN = ("auc", "mean_auc", "mean_auc_isic2017", "average_precision", "partial_auc_isic2024",
         "specificity_at_sensitivity", "balanced_accuracy", "accuracy",
         "expected_calibration_error", "brier_score")  # fmt: skip


@click.command(cls=GroupedCommand)
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@options.truth
@json_output("all differences")
@settings_options(CompareSettings)
def compare(
    first: Path,
    second: Path,
    truth: Path | None,
    save_json: SaveJson,
    settings: CompareSettings,
) -> None:
    """Compare the predictions FIRST (the baseline) and SECOND of the same images.

    Differences are SECOND minus FIRST, with 95 % intervals and two-sided p-values: DeLong's for
    AUC, a paired bootstrap for the rest, by patient where a `patient_id` is known.

    \b
    Example:
      melanoma-tf compare runs/raw/predictions.csv runs/purified/predictions.csv
    """
    from melanoma_tf.cli.console import table
    from melanoma_tf.evaluation.compare import compare_predictions

    (baseline, candidate), known = read_inputs([first, second], truth, settings)
    result = compare_predictions(
        baseline,
        candidate,
        known,
        rounds=settings.rounds,
        seed=settings.seed,
        min_tpr=settings.min_tpr,
        progress=rounds_bar(settings.rounds),
    )
    save_json(result)
    rows = [
        (row["metric"], *(_number(row[key]) for key in ("first", "second", "difference")),
         f"[{_number(row['low'])}, {_number(row['high'])}]", _number(row["p_value"]),
         row["method"] or "undefined")
        for row in result["metrics"] if row["metric"].split(".")[0] in SHOWN
    ]  # fmt: skip
    columns = ("metric", "first", "second", "difference", "95 % interval", "p", "method")
    table(f"Second minus first ({result['n']:,} images)", columns, rows)
    drawn = result["bootstrap"]
    click.echo(
        f"Bootstrap: {drawn['rounds']:,} paired rounds over {drawn['units']:,} {drawn['unit']}s. "
        "P-values are two-sided and not corrected for the number of metrics."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.1g}"


COMMANDS: tuple[click.Command, ...] = (compare,)
