"""Tables of the reports of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melanoma_tf.classification.expansion_plan import PAPER_COUNTS, expansion_plan_named, grow
from melanoma_tf.evaluation.report.content import flat_settings
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.report.tables import Cell, Estimate, Table, estimate, value
from melanoma_tf.evaluation.score_text import nested
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.workflows import published
from melanoma_tf.workflows.isic2017_data import TAXONOMY
from melanoma_tf.workflows.isic2018 import TEST_PURIFICATIONS
from melanoma_tf.workflows.settings import ExperimentSettings

Scores = Mapping[str, Mapping[str, Any]]
MELANOMA = "melanoma"
# Metrics of a comparison, with their titles.
COMPARED_2017 = {
    "auc.melanoma": "AUC of melanoma",
    "auc.seborrheic_keratosis": "AUC of seborrheic keratosis",
    "mean_auc_isic2017": "mean of these",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    **{
        f"specificity_at_sensitivity.{MELANOMA}.{point}": f"specificity at sensitivity {point}"
        for point in published.SENSITIVITIES
    },
}
COMPARED_2018 = {
    "mean_auc": "mean AUC",
    "auc.melanoma": "AUC of melanoma",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "macro_average.specificity": "mean specificity",
}


def table_3(scores: Scores) -> Table:
    """Areas under the ROC curve."""
    rows: list[tuple[Cell, ...]] = []
    for name, areas in published.TABLE_3.items():
        rows.append((name, *map(value, areas), *_areas(scores.get(name))))
    for name, each in scores.items():
        if name not in published.TABLE_3:
            rows.append((name, "", "", *_areas(each)))
    header = ("classifier", "melanoma, paper", "mean, paper", "melanoma, here", "mean, here")
    return Table("ROC AUC of melanoma, and mean with seborrheic keratosis", header, rows)


def table_4(scores: Scores) -> Table:
    """Specificity for melanoma at three sensitivities."""
    rows: list[tuple[Cell, ...]] = [
        (f"{name}, paper", *map(value, points)) for name, points in published.TABLE_4.items()
    ]
    for name, each in scores.items():
        rows.append((f"{name}, here", *(_specificity(each, at) for at in published.SENSITIVITIES)))
    header = ("classifier", *(f"at {at}" for at in published.SENSITIVITIES))
    return Table("Specificity of melanoma at a sensitivity", header, rows)


def table_6(scores: Scores) -> Table:
    """Accuracy, sensitivity and specificity by purification of the test images."""
    rows: list[tuple[Cell, ...]] = [
        (f"{name}, paper", *map(value, numbers)) for name, numbers in published.TABLE_6.items()
    ]
    paths = (("accuracy",), ("balanced_accuracy",), ("macro_average", "specificity"))
    for name in TEST_PURIFICATIONS:
        method = TEST_PURIFICATIONS[name] or "none"
        rows.append((f"{method}, here", *(_scored(scores[name], path) for path in paths)))
    header = ("purification", "accuracy", "sensitivity", "specificity")
    return Table("Purification at testing", header, rows)


def class_areas(scores: Scores) -> Table:
    """Areas under the ROC curve of every class."""
    names = next(iter(scores.values()))["classes"]
    rows: list[tuple[Cell, ...]] = [
        (spoken(name), *(_scored(each, ("auc", name)) for each in scores.values()))
        for name in names
    ]
    return Table("ROC AUC of each class against the rest", ("class", *scores), rows)


def class_sizes(images: Mapping[str, Mapping[str, int]], paper: Mapping[str, int]) -> Table:
    """Images of each class by split, beside those of the paper's training set."""
    splits = list(next(iter(images.values())))
    rows = [
        (spoken(name), f"{paper[name]:,}", *(f"{count:,}" for count in counts.values()))
        for name, counts in images.items()
    ]
    return Table("Images by class", ("class", "paper, training", *splits), rows)


def comparison(
    compared: Mapping[str, Any],
    metrics: Mapping[str, str],
    names: Sequence[str] = ("baseline", "proposed"),
) -> Table:
    """Differences of two evaluations, in metrics with their titles."""
    found = {row["metric"]: row for row in compared["metrics"]}
    rows: list[tuple[Cell, ...]] = []
    for metric, title in metrics.items():
        row = found.get(metric)
        if row is None:
            continue
        interval = None if row["low"] is None else row
        p_value = "" if row["p_value"] is None else f"{row['p_value']:.3f}"
        difference = estimate(row["difference"], interval)
        rows.append((title, value(row["first"]), value(row["second"]), difference, p_value))
    header = ("metric", *names, "difference", "p-value")
    caption = f"Paired differences, {names[1]} less {names[0]}, on {compared['n']:,} images"
    return Table(caption, header, rows)


def purified(manifest: Manifest, paper: Mapping[str, int] | None = None) -> Table:
    """Purified training images by class, beside those of the paper where it counts them."""
    rows = [
        (
            spoken(name),
            *([] if paper is None else [f"{paper[name]:,}"]),
            f"{manifest.count(split='train', class_name=name, origin='purified'):,}",
            f"{manifest.count(split='train', class_name=name, origin='real'):,}",
        )
        for name in manifest.class_names
    ]
    header = ("class", *([] if paper is None else ["paper"]), "purified", "of")
    return Table("Purified training images", header, rows)


def growth(expansion: Mapping[str, Any]) -> Table:
    """Training examples by stage, those of the paper in a row of their own."""
    paper = {
        row.class_name: row for row in grow(PAPER_COUNTS[TAXONOMY], expansion_plan_named(TAXONOMY))
    }
    stages = ("real", "purified", "generated", "mirrored", "examples")
    rows: list[tuple[Cell, ...]] = []
    for row in expansion["classes"]:
        name = row["class_name"]
        rows.append((spoken(name), "here", *(f"{row[stage]:,}" for stage in stages)))
        theirs = (f"{getattr(paper[name], stage):,}" for stage in stages)
        rows.append((spoken(name), "paper", *theirs))
    header = ("class", "", "real", "purified", "generated", "mirrored", "in an epoch")
    return Table("Training set, stage by stage", header, rows, text_columns=2)


def steps(made: Sequence[Mapping[str, Any]]) -> Table:
    """Steps with their times."""
    rows = [
        (each["name"], each["output"], f"{each['seconds']:,.1f}", f"{each['attempts']}")
        for each in made
    ]
    header = ("step", "output", "seconds of the last attempt", "attempts")
    return Table("Steps", header, rows, text_columns=2)


def settings(chosen: ExperimentSettings) -> Table:
    """Settings of the experiment."""
    rows = [(name, str(each)) for name, each in flat_settings(chosen.to_json())]
    return Table("Settings", ("setting", "value"), rows, text_columns=2)


def _areas(scores: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    if scores is None:
        return "", ""
    return (
        _scored(scores, ("auc", MELANOMA)),
        _scored(scores, ("mean_auc_isic2017",)),
    )


def _specificity(scores: Mapping[str, Any], sensitivity: str) -> Estimate:
    return _scored(scores, ("specificity_at_sensitivity", MELANOMA, sensitivity))


def _scored(scores: Mapping[str, Any], path: tuple[str, ...]) -> Estimate:
    metric: Any = nested(scores, path)
    return estimate(metric, nested(scores.get("interval"), path))
