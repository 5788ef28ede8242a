"""Charts of a report, each with a description in words; TensorBoard shows the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from melanoma_tf.evaluation.metrics.decisions import decided_classes
from melanoma_tf.evaluation.reliability import reliability
from melanoma_tf.evaluation.report import figures
from melanoma_tf.evaluation.report.content import ReportContent, TrainedRun
from melanoma_tf.evaluation.score_text import nested, shown

FOCUS = "melanoma"
_TITLES = {
    "auc": "AUC",
    "cohen_kappa": "Cohen's kappa",
    "matthews_correlation": "Matthews correlation",
}
_NOT_DRAWN = ("images_per_second",)  # it differs from run to run, and says nothing about the scores


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: unique in the report, as `roc/melanoma`; the first part is its section.
        figure: the picture.
        alternative: description of the picture in words.
        wide: whether it needs more room than others.
    """

    name: str
    figure: Figure
    alternative: str
    wide: bool = False


def charts(content: ReportContent) -> Iterator[Chart]:
    """Draw all charts of a report, in its order; undefined ones are left out."""
    yield from _class_sizes(content)
    for run in content.runs:
        yield from _training_curves(run, several=len(content.runs) > 1)
    yield from _roc(content)
    yield from _decisions(content)
    yield from _calibration(content)


def scored_classes(content: ReportContent) -> list[str]:
    """The classes of which there are both examples and counter-examples."""
    return [name for name in content.scores["classes"] if content.scores["auc"][name] is not None]


def one_against_rest(content: ReportContent, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Membership, bool `(images,)`, and scores, float64 `(images,)`, of a class."""
    predictions = content.predictions
    assert predictions.labels is not None  # a report has none without labels
    index = predictions.class_names.index(name)
    return predictions.labels == index, predictions.scores[:, index]


def _class_sizes(content: ReportContent) -> Iterator[Chart]:
    for unit, title in (("images", "images"), ("examples", "examples in an epoch")):
        last = [stage for stage in content.stages if stage.unit == unit][-1:]
        if not last:
            continue
        counts = last[0].counts
        words = "; ".join(
            f"{figures.spoken(name)} "
            + (", ".join(f"{count:,} {origin}" for origin, count in row.items() if count) or "none")
            for name, row in counts.items()
        )
        yield Chart(
            f"class_sizes/{unit}",
            figures.class_sizes(counts, f"training {title}", unit),
            f"Bars of training {title} by class: {words}.",
        )


def _training_curves(run: TrainedRun, *, several: bool) -> Iterator[Chart]:
    best = run.kept_epoch()
    for metric, values in run.history.items():
        constant_rate = metric == "learning_rate" and len(set(values)) < 2
        if metric.startswith("val_") or metric in _NOT_DRAWN or constant_rate:
            continue
        validation = run.history.get(f"val_{metric}")
        words = f"{values[0]:.4g} in the first epoch and {values[-1]:.4g} in the last of training"
        if validation:
            words += f", {validation[0]:.4g} and {validation[-1]:.4g} on validation"
        title = _TITLES.get(metric, figures.spoken(metric))
        title += f" of {run.name}" if several else ""
        yield Chart(
            f"training/{run.name}/{metric}" if several else f"training/{metric}",
            figures.training_curve(title, values, validation, best),
            f"Curve of {title} over {len(values)} epochs: {words}.",
        )


def _roc(content: ReportContent) -> Iterator[Chart]:
    for name in scored_classes(content):
        is_positive, scores = one_against_rest(content, name)
        area = shown(
            content.scores["auc"][name], nested(content.scores.get("interval"), ("auc", name))
        )
        points = content.scores["operating_points"]["chosen_on_this_set"][name]
        counts = f"{int(is_positive.sum()):,} of {len(is_positive):,} images"
        false_positives, sensitivity, _ = roc_curve(is_positive, scores, drop_intermediate=False)
        yield Chart(
            f"roc/{name}",
            figures.roc(name, (false_positives, sensitivity), area, points, counts),
            f"ROC curve of {figures.spoken(name)} against the rest ({counts}): AUC {area}.",
        )


def _decisions(content: ReportContent) -> Iterator[Chart]:
    matrix = content.scores["confusion_matrix"]
    if matrix is None:
        return
    names = content.scores["classes"]
    right = sum(row[index] for index, row in enumerate(matrix))
    undecided = list(content.scores["undecided"].values())
    total = sum(map(sum, matrix)) + sum(undecided)
    yield Chart(
        "confusion_matrix",
        figures.confusion_matrix(matrix, undecided, names),
        f"Confusion matrix: {right:g} of {total:g} images decided correctly; the table has the "
        "counts.",
        wide=len(names) > 4,
    )


def _calibration(content: ReportContent) -> Iterator[Chart]:
    if not content.scores["are_probabilities"]:
        return
    predictions = content.predictions
    assert predictions.labels is not None
    largest = predictions.scores.max(axis=1)
    right = decided_classes(predictions.scores) == predictions.labels
    yield Chart(
        "calibration/decided",
        figures.reliability_diagram(
            reliability(largest, right), "the decided class", "correct decisions"
        ),
        "Reliability diagram: probability of the decided class against the fraction of correct "
        f"decisions; on average {largest.mean():.2f} predicted, {right.mean():.2f} correct.",
    )
    if FOCUS in scored_classes(content):
        is_positive, scores = one_against_rest(content, FOCUS)
        yield Chart(
            f"calibration/{FOCUS}",
            figures.reliability_diagram(
                reliability(scores, is_positive), FOCUS, f"fraction of {FOCUS}"
            ),
            f"Reliability diagram of {FOCUS}: its probability against its frequency; on average "
            f"{scores.mean():.2f} predicted, {is_positive.mean():.2f} observed.",
        )
