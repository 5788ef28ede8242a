"""Figures of the report of the ISIC 2017 experiment."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core import image_sheets
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.evaluation.report import figures
from melanoma_tf.evaluation.report.charts import Chart
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.score import align_with_truth, roc_curves
from melanoma_tf.evaluation.score_text import nested, shown
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.read import read_examples
from melanoma_tf.workflows.isic2017_tasks import EVALUATION

_ROC_CLASSES = ("melanoma", "seborrheic_keratosis")
_TILE_PX, _COLUMNS, _GAP_PX = 128, 8, 4
PURIFIED = "purified"


def roc_charts(work_dir: Path, scores: Mapping[str, Mapping[str, Any]]) -> list[Chart]:
    """Draw the ROC curves of all classifiers, a chart for each class that has any."""
    curves = {
        name: roc_curves(
            align_with_truth(read_predictions(work_dir / EVALUATION / name / "predictions.csv"))
        )
        for name in scores
    }
    drawn = []
    for class_name in _ROC_CLASSES:
        if any(class_name not in each for each in curves.values()):
            continue
        points = {
            name: (
                np.asarray(each[class_name]["false_positive_rate"]),
                np.asarray(each[class_name]["true_positive_rate"]),
            )
            for name, each in curves.items()
        }
        areas = {
            name: shown(each["auc"][class_name], nested(each.get("interval"), ("auc", class_name)))
            for name, each in scores.items()
        }
        first = next(iter(scores.values()))
        counts = f"{first['n_per_class'][class_name]:,} of {first['n']:,} images"
        figure = figures.roc_comparison(class_name, points, areas, counts)
        words = "; ".join(f"{name} AUC {area}" for name, area in areas.items())
        drawn.append(
            Chart(f"roc/{class_name}", figure, f"ROC curves of {spoken(class_name)}: {words}.")
        )
    return drawn


def confusion_chart(name: str, scores: Mapping[str, Any]) -> Chart:
    """Draw the confusion matrix of a classifier."""
    undecided = list(scores["undecided"].values())
    matrix, names = scores["confusion_matrix"], scores["classes"]
    figure = figures.confusion_matrix(matrix, undecided, names, name)
    return Chart(f"confusion/{name}", figure, f"Confusion matrix of the {name} classifier.")


def growth_charts(expansion: Mapping[str, Any]) -> list[Chart]:
    """Draw the classes' sizes by origin, before they are mirrored and cropped."""
    origins = ("real", "purified", "generated")
    counts = {
        row["class_name"]: {origin: row[origin] for origin in origins}
        for row in expansion["classes"]
    }
    figure = figures.class_sizes(counts, "training images", "images")
    words = "; ".join(
        f"{spoken(name)} " + ", ".join(f"{count:,} {origin}" for origin, count in row.items())
        for name, row in counts.items()
    )
    return [Chart("growth", figure, f"Bars of training images by class: {words}.")]


def purified_sheet(folder: Path) -> bytes | None:
    """Draw a PNG of training images above their purified copies; None where there are none."""
    examples = read_examples(folder, "train")
    copies = list(itertools.islice((one for one in examples if one.origin == PURIFIED), _COLUMNS))
    if not copies:
        return None
    wanted = {copy.parent for copy in copies}
    originals: dict[str, bytes] = {}
    for example in read_examples(folder, "train"):
        if example.origin != PURIFIED and example.key in wanted:
            originals[example.key] = example.image
        if len(originals) == len(wanted):
            break
    columns = []
    for copy in copies:
        pair = (originals[copy.parent], copy.image)
        tiles = [image_sheets.fit(decode_image(image), _TILE_PX) for image in pair]
        columns.append(image_sheets.stack(tiles, _GAP_PX))
    return image_sheets.encode_png(image_sheets.side_by_side(columns, _GAP_PX))
