"""`melanoma-tf evaluate` and `melanoma-tf calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melanoma_tf.classification.evaluation_settings import CalibrationSettings, EvaluationSettings
from melanoma_tf.cli import options
from melanoma_tf.cli.console import table, warn
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.evaluation.prevalence import shown_prevalence


@click.command(cls=GroupedCommand)
@options.run_dir("Run folder, runs/NAME or shipped; repeat for an ensemble.", multiple=True)
@options.records()
@options.output(
    "Folder of the output files.  [default: the run's; required with several runs]", required=False
)
@options.overwrite()
@settings_options(EvaluationSettings)
def evaluate(
    run_dirs: tuple[Path, ...],
    records: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    settings: EvaluationSettings,
) -> None:
    """Score a trained classifier, or an ensemble: predictions.csv, metrics.json and report.html.

    \b
    Example:
      melanoma-tf evaluate --run-dir runs/first --records tfrecords/isic2017 --split test
      melanoma-tf evaluate --run-dir runs/a --run-dir runs/b --records tfrecords/isic2017 \\
          --tta 8 --output runs/a-and-b
      melanoma-tf evaluate --run-dir runs/first --records tfrecords/isic2017 \\
          --purify classical --output runs/first/purified
      melanoma-tf compare runs/first/predictions.csv runs/first/purified/predictions.csv
    """
    from melanoma_tf.classification.evaluate import evaluate_classifier
    from melanoma_tf.cli.score import rounds_bar

    metrics = evaluate_classifier(
        run_dirs,
        records,
        settings,
        output=output,
        overwrite=overwrite,
        progress=rounds_bar(settings.rounds),
    )
    show_metrics(metrics)
    submission = ", submission.csv" if settings.format else ""
    names = f"predictions.csv{submission}, metrics.json and report.html"
    click.echo(f"wrote {names} in {output or run_dirs[0]}")


@click.command(cls=GroupedCommand)
@options.run_dir()
@options.records()
@options.overwrite()
@settings_options(CalibrationSettings)
def calibrate(
    run_dir: Path, records: tuple[Path, ...], overwrite: bool, settings: CalibrationSettings
) -> None:
    """Fit a trained classifier's temperature and thresholds: writes calibration.json.

    Training does this at its end on the validation split; this command fits other images, purified
    images, several views, or also a bias of each class.

    \b
    Example:
      melanoma-tf calibrate --run-dir runs/first --records tfrecords/hospital --overwrite
      melanoma-tf calibrate --run-dir runs/balanced --records tfrecords/hospital \\
          --method bias-corrected --overwrite
    """
    from melanoma_tf.classification.calibrate import summary
    from melanoma_tf.classification.evaluate import calibrate_classifier

    fitted = calibrate_classifier(run_dir, records, settings, overwrite=overwrite)
    click.echo(summary(fitted))
    click.echo(f"wrote {run_dir / 'calibration.json'}")


def show_metrics(metrics: dict[str, Any]) -> None:
    """Print what `evaluate_classifier` returns."""
    rows = [
        (name, metrics["n_per_class"][name], _shown(metrics["auc"][name]))
        for name in metrics["classes"]
    ]
    table(f"{metrics['n']} images of split {metrics['split']}", ("class", "images", "AUC"), rows)
    for key in ("mean_auc", "balanced_accuracy", "accuracy"):
        click.echo(f"{key.replace('_', ' ')}: {_shown(metrics[key])}")
    if metrics["excluded"]:
        click.echo(f"left out, as by the official scorer: {', '.join(metrics['excluded'])}")
    _show_points(metrics["operating_points"])
    click.echo(_remark(metrics))


def _show_points(points: dict[str, Any]) -> None:
    source = points["carried_over_from"]
    found = points["carried_over"] or points["chosen_on_this_set"]
    shown = ("threshold", "sensitivity", "specificity")
    rows = [
        (
            name,
            wanted,
            *(_rounded(point[key]) for key in ("threshold", "sensitivity", "specificity")),
        )
        for name, row in found.items()
        for wanted, point in row.items()
        if point is not None
    ]
    title = "Thresholds chosen on these very images: optimistic"
    if source:
        title = f"Thresholds carried over from {source['file']}"
    if rows:
        table(title, ("class", "wanted sensitivity", *shown), rows)
    if source and source["same_images"]:
        warn("the thresholds were chosen on these very images, and look better than they are")
    if source and source["differences"]:
        warn(f"the thresholds were chosen otherwise: {'; '.join(source['differences'])}")


def _remark(metrics: dict[str, Any]) -> str:
    if metrics["scores"] == "ranks":
        return "Scores are ranks, no probabilities."
    how = "calibrated" if metrics["calibrated"] else "not calibrated"
    if metrics["prevalence"]:
        how += f", for the class frequencies {shown_prevalence(metrics['prevalence'])}"
    return f"Scores are probabilities, {how}."


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _shown(value: float | None) -> str:
    return "undefined: no example of the class" if value is None else f"{value:.3f}"


COMMANDS = (evaluate, calibrate)
