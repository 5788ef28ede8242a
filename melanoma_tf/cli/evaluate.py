"""`melanoma-tf evaluate` and `melanoma-tf calibrate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melanoma_tf.cli import options
from melanoma_tf.cli.console import table, warn

Command = Callable[..., Any]


def _how_images_are_seen(command: Command) -> Command:
    """What `evaluate` and `calibrate` ask alike."""
    stack = (
        click.option(
            "--tta",
            type=click.Choice(["1", "2", "4", "8"]),
            default="1",
            show_default=True,
            callback=lambda context, option, value: int(value),
            help="Test-time augmentation: views of each image, mirrored and turned, over which "
            "probabilities are averaged.",
        ),
        click.option(
            "--purify",
            type=click.Choice(["none", "classical", "network"]),
            help="Take hairs, rulers, ink and bubbles out of the images.  "
            "[default: as the run was trained to]",
        ),
        click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True),
    )
    for option in reversed(stack):
        command = option(command)
    return command


@click.command()
@click.option(
    "--run-dir",
    "run_dirs",
    type=options.FOLDER,
    multiple=True,
    required=True,
    help="A run folder, runs/NAME; repeat for an ensemble.",
)
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    required=True,
    help="A folder that build-records made; repeat to score several as one.",
)
@options.split
@click.option(
    "--combine",
    type=click.Choice(["mean", "ranks", "folds"]),
    default="mean",
    show_default=True,
    help="Several runs: the mean of probabilities, or of ranks within each class (which are no "
    "probabilities); folds scores each image by the run that held it out.",
)
@_how_images_are_seen
@click.option(
    "--calibrated/--raw",
    default=None,
    help="Divide logits by each run's fitted temperature, or not.  "
    "[default: where every run has one]",
)
@click.option(
    "--operating-points",
    type=options.FILE,
    help="Carry thresholds over from this calibration.json, or metrics.json of other images.  "
    "[default: a single run's calibration.json]",
)
@click.option(
    "--output",
    type=options.FOLDER,
    help="Folder of the two files.  [default: the run's; required with several runs]",
)
@options.bootstrap_rounds
@options.bootstrap_seed
@options.overwrite
def evaluate(
    run_dirs: tuple[Path, ...],
    records: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    **settings: Any,
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
    from melanoma_tf.classification.evaluate import EvaluationSettings, evaluate_classifier
    from melanoma_tf.cli.score import rounds_bar

    resolved = EvaluationSettings(**settings)
    metrics = evaluate_classifier(
        run_dirs,
        records,
        resolved,
        output=output,
        overwrite=overwrite,
        progress=rounds_bar(resolved.rounds),
    )
    show_metrics(metrics)
    click.echo(f"wrote predictions.csv, metrics.json and report.html in {output or run_dirs[0]}")


@click.command()
@options.run_dir()
@click.option(
    "--records",
    type=options.FOLDER,
    multiple=True,
    required=True,
    help="A folder that build-records made; repeat to fit on several.",
)
@click.option(
    "--split",
    type=click.Choice(["validation", "test", "train"]),
    default="validation",
    show_default=True,
    help="Whose images to fit on. Scores of the same images are then no honest ones.",
)
@_how_images_are_seen
@options.overwrite
def calibrate(run_dir: Path, records: tuple[Path, ...], **settings: Any) -> None:
    """Fit a trained classifier's temperature and thresholds: writes calibration.json.

    Training does this at its end on the validation split; here it is done on other images, or
    for purified ones or several views.

    \b
    Example:
      melanoma-tf calibrate --run-dir runs/first --records tfrecords/hospital --overwrite
    """
    from melanoma_tf.classification.calibrate import summary
    from melanoma_tf.classification.evaluate import calibrate_classifier

    fitted = calibrate_classifier(run_dir, records, **settings)
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
    return f"Scores are probabilities, {how}."


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _shown(value: float | None) -> str:
    return "undefined: no example of the class" if value is None else f"{value:.3f}"


COMMANDS = (evaluate, calibrate)
