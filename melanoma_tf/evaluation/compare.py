"""Two classifiers on the same images: paired differences, intervals and p-values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.bootstrap import (
    bootstrap_p_value,
    percentile_interval,
    resamples,
)
from melanoma_tf.evaluation.metrics.delong import difference_p_value, normal_interval
from melanoma_tf.evaluation.metrics.intervals import LEVEL, class_areas
from melanoma_tf.evaluation.metrics.task import MetricPath, Task, all_metrics
from melanoma_tf.evaluation.predictions import Predictions, listed, matching_rows
from melanoma_tf.evaluation.score import align_with_truth, groups_of, prepared
from melanoma_tf.evaluation.truth import Truth

Blocks = Iterator[np.ndarray]


def compare_predictions(
    first: Predictions,
    second: Predictions,
    truth: Truth | None = None,
    *,
    rounds: int = 1000,
    seed: int = 0,
    min_tpr: float = 0.8,
    progress: Callable[[Blocks], Blocks] = iter,
) -> dict[str, Any]:
    """Paired differences of every metric, second minus first.

    Args:
        first: the baseline.
        second: of the same images in any order, with the same classes.
        truth: of the images; without it, the labels that the predictions carry.
        rounds: of the paired bootstrap: each draws the same images for both; at least 2.
        seed: of the bootstrap.
        min_tpr: the sensitivity above which ISIC 2024's partial area is taken, in [0, 1).
        progress: receives the blocks of resamples and yields them again (a progress bar).

    Returns:
        `n`, `classes`, `bootstrap` (how it was done) and `metrics`: a list of `{"metric", "first",
        "second", "difference", "low", "high", "p_value", "method"}`. Areas under the ROC curve
        are compared after DeLong (by patient after Obuchowski 1997) where that is defined, the
        rest with the bootstrap's percentiles. P-values are two-sided and not corrected for the
        number of metrics. What is undefined is None.

    Raises:
        MelanomaError: other images, classes or labels.
    """
    if rounds < 2:
        raise MelanomaError(f"expected at least 2 bootstrap rounds, found {rounds}")
    labelled = align_with_truth(first, truth)
    other = align_with_truth(_matched(second, first), truth)
    tasks = [prepared(labelled, min_tpr=min_tpr), prepared(other, min_tpr=min_tpr)]
    groups, unit = groups_of(labelled)
    weights = labelled.weights
    base = None if np.all(weights == 1) else weights
    observed = [all_metrics(task, weights[None]) for task in tasks]
    shared = [path for path in observed[0] if path in observed[1]]
    differences = _paired_bootstrap(tasks, shared, progress(resamples(groups, rounds, seed, base)))
    rows = []
    for path in shared:
        values = [float(metrics[path][0]) for metrics in observed]
        test = _delong_test(tasks, path, groups) if base is None and path[0] == "auc" else None
        rows.append(_row(path, values, test or _bootstrap_test(differences[path])))
    return {
        "n": tasks[0].n_images,
        "classes": list(tasks[0].class_names),
        "bootstrap": {
            "rounds": rounds, "seed": seed, "level": LEVEL, "unit": unit,
            "units": int(groups.max()) + 1,
        },
        "metrics": rows,
    }  # fmt: skip


def _matched(second: Predictions, first: Predictions) -> Predictions:
    """`second` with the rows and columns of `first`, and with its labels and patients."""
    if set(second.class_names) != set(first.class_names):
        raise MelanomaError(
            f"expected the same classes in both files; found {listed(first.class_names, 9)} "
            f"and {listed(second.class_names, 9)}"
        )
    rows = matching_rows(second, first)
    columns = [second.class_names.index(name) for name in first.class_names]
    if second.labels is not None and first.labels is not None:
        names = (*second.class_names, "")
        theirs = [names[label] for label in second.labels[rows]]
        names = (*first.class_names, "")
        differs = [
            image_id
            for image_id, label, other in zip(first.image_ids, first.labels, theirs)
            if names[label] != other
        ]
        if differs:
            raise MelanomaError(
                f"expected the same labels in both files; they differ in {listed(differs)}"
            )
    return replace(first, scores=second.scores[rows][:, columns])


def _paired_bootstrap(
    tasks: list[Task], paths: list[MetricPath], blocks: Blocks
) -> dict[MetricPath, np.ndarray]:
    parts = []
    for block in blocks:
        first, second = (all_metrics(task, block) for task in tasks)
        parts.append({path: second[path] - first[path] for path in paths})
    return {path: np.concatenate([part[path] for part in parts]) for path in paths}


def _bootstrap_test(differences: np.ndarray) -> dict[str, Any]:
    limits = percentile_interval(differences, LEVEL) or (None, None)
    p_value = bootstrap_p_value(differences)
    return {"low": limits[0], "high": limits[1], "p_value": p_value, "method": "bootstrap"}


def _delong_test(tasks: list[Task], path: MetricPath, groups: np.ndarray) -> dict[str, Any] | None:
    areas = class_areas(tasks, path, groups)
    if np.isnan(areas.covariance).any():
        return None
    difference = float(areas.values[1] - areas.values[0])
    variance = float(np.array([-1, 1]) @ areas.covariance @ np.array([-1, 1]))
    low, high = normal_interval(difference, variance, LEVEL)
    p_value = difference_p_value(difference, variance)
    return {"low": low, "high": high, "p_value": p_value, "method": "delong"}


def _row(path: MetricPath, values: list[float], test: dict[str, Any]) -> dict[str, Any]:
    first, second = (None if np.isnan(value) else value for value in values)
    difference = None if first is None or second is None else second - first
    if difference is None:
        test = {"low": None, "high": None, "p_value": None, "method": None}
    return {
        "metric": ".".join(path), "first": first, "second": second, "difference": difference, **test
    }  # fmt: skip
