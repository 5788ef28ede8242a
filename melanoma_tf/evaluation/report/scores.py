"""The report's tables of scores: metrics, decisions, calibration, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.report.tables import Cell, Table, estimate, limits, value
from melanoma_tf.evaluation.score_text import class_rows, nested, overall_rows

_CALIBRATION = (
    ("expected calibration error (15 bins, decided class)", "expected_calibration_error"),
    ("Brier score (0 best, 2 worst)", "brier_score"),
    ("negative log-likelihood (nats)", "negative_log_likelihood"),
)

Scores = Mapping[str, Any]


def overall_table(scores: Scores) -> Table:
    """Metrics over all classes."""
    return _with_intervals("Over all classes", scores, overall_rows(scores))


def class_table(scores: Scores) -> Table:
    """Metrics of each class against the rest."""
    names, interval = scores["classes"], scores.get("interval", {})
    images: tuple[Cell, ...] = ("images", *(f"{scores['n_per_class'][name]:,}" for name in names))
    by_class: list[tuple[Cell, ...]] = [
        (
            title,
            *(
                estimate(nested(scores, path), nested(interval, path))
                for path in ((first, name, *rest) for name in names)
            ),
        )
        for title, (first, *rest) in class_rows(scores)
    ]
    return Table(
        "Each class against the rest, with 95 % intervals",
        ("metric", *map(spoken, names)),
        [images, *by_class],
    )


def confusion_table(scores: Scores) -> Table | None:
    """Decisions by true class; None where the columns are not all of the classes."""
    matrix = scores["confusion_matrix"]
    if matrix is None:
        return None
    names, undecided = scores["classes"], scores["undecided"]
    rows = [
        (spoken(name), *(f"{count:g}" for count in row), f"{undecided[name]:g}")
        for name, row in zip(names, matrix)
    ]
    return Table("Decisions (rows: truth)", ("truth", *map(spoken, names), "tie"), rows)


def calibration_table(scores: Scores) -> Table:
    """Distance between probabilities and truth."""
    return _with_intervals("Calibration error", scores, _CALIBRATION)


def _with_intervals(caption: str, scores: Scores, metrics: Sequence[tuple[str, str]]) -> Table:
    interval = scores.get("interval", {})
    rows = [
        (title, value(scores[key]), limits(interval.get(key)))
        for title, key in metrics
        if key in scores
    ]
    return Table(caption, ("metric", "value", "95 % interval"), rows)


def calibrated_table(scores: Scores) -> Table | None:
    """The same without and with calibration; None where only one of the two is known."""
    calibration = scores.get("calibration") or {}
    raw, calibrated = calibration.get("raw"), calibration.get("calibrated")
    if not raw or not calibrated:
        return None
    rows = [(title, value(raw[key]), value(calibrated[key])) for title, key in _CALIBRATION]
    return Table("Without and with calibration", ("metric", "without", "with"), rows)


def in_sample_table(scores: Scores, split: str) -> Table:
    """Operating points of thresholds chosen on the scored images."""
    points = scores["operating_points"]["chosen_on_this_set"]
    return _points(f"Chosen on the {split} split itself", points)


def transferred_table(scores: Scores) -> Table | None:
    """Operating points of thresholds chosen on other images; None where none were applied."""
    points = scores["operating_points"]
    source = points.get("carried_over_from")
    if not source:
        return None
    chosen_on = source["chosen_on"]
    return _points(
        f"Chosen on {chosen_on['n']:,} images of split {chosen_on['split']}, applied here",
        points["carried_over"],
    )


def _points(caption: str, points: Mapping[str, Mapping[str, Mapping[str, Any] | None]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            spoken(name),
            wanted,
            f"{point['threshold']:.4g}",
            *(
                estimate(point[metric], nested(point, ("interval", metric)))
                for metric in ("sensitivity", "specificity")
            ),
        )
        for name, row in points.items()
        for wanted, point in row.items()
        if point is not None
    ]
    columns = ("class", "sensitivity wanted", "threshold", "sensitivity", "specificity")
    return Table(caption, columns, rows)
