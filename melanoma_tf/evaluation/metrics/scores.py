"""The metrics of a classifier as a dictionary that JSON can carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from melanoma_tf.evaluation.metrics.decisions import confusion, look_like_probabilities
from melanoma_tf.evaluation.metrics.ranking import AT_THRESHOLD
from melanoma_tf.evaluation.metrics.task import MetricPath, Task, all_metrics, prepare

# Present in every dictionary; what a task lacks is None, with the reason under `undefined`.
_OF_DECISIONS = ("accuracy", "balanced_accuracy")
_OF_PROBABILITIES = ("expected_calibration_error", "brier_score")


def classification_scores(
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    *,
    min_tpr: float = 0.8,
) -> dict[str, Any]:
    """Score one column of scores per class against the true classes.

    Args:
        labels: int `(images,)`, class index; -1 (unknown) is left out.
        scores: float `(images, classes)`, finite, used as given; larger means more of that class.
        class_names: in the order of the columns.
        min_tpr: the sensitivity above which ISIC 2024's partial area is taken, in [0, 1).

    Returns:
        What `task_scores` returns.

    Raises:
        MelanomaError: shapes that do not fit, scores that are not finite.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    task = prepare(labels, scores, class_names, min_tpr=min_tpr)
    return task_scores(task, np.ones(task.n_images))


def task_scores(task: Task, weights: np.ndarray) -> dict[str, Any]:
    """Compute every metric of a task.

    Args:
        task: the images.
        weights: float64 `(images,)`, not negative.

    Returns:
        `n` (images of which something is known), `n_class_known` (in one of the classes for
        certain), `classes`, `n_per_class`, `min_tpr`, `are_probabilities`; `confusion_matrix` (rows
        true, columns decided) and `undecided` (by true class: ties for the largest score, which
        are in no column and wrong); each metric of `all_metrics`, nested by class:
        `auc.melanoma`; and `undefined`: the metrics that the examples do not define, as
        `auc.melanoma`, with the reason; their value is None, never 0 or 1.
    """
    metrics = {path: float(values[0]) for path, values in all_metrics(task, weights[None]).items()}
    known = (task.membership >= 0).any(axis=1) & (weights > 0)
    n_class_known = int(((task.membership == 1).any(axis=1) & (weights > 0)).sum())
    members = (task.membership == 1).T @ weights
    result: dict[str, Any] = {
        "n": int(known.sum()),
        "n_class_known": n_class_known,
        "classes": list(task.class_names),
        "n_per_class": {
            name: _number(count) for name, count in zip(task.class_names, members.tolist())
        },
        "min_tpr": task.min_tpr,
        "score_range": [float(task.scores.min()), float(task.scores.max())]
        if task.scores.size
        else None,
        "are_probabilities": bool(len(task.scores)) and look_like_probabilities(task.scores),
        "undefined": {},
    }
    for name in (*_OF_DECISIONS, *_OF_PROBABILITIES):
        metrics.setdefault((name,), float("nan"))
    # Of a challenge with other classes: not worth a word where they are not there.
    result["mean_auc_isic2017"] = None
    for path, value in metrics.items():
        defined = not np.isnan(value)
        set_nested(result, path, value if defined else None)
        if not defined:
            result["undefined"][".".join(path)] = _reason(task, weights, path)
    result["confusion_matrix"] = result["undecided"] = None
    if task.decisions is not None:
        counts = confusion(task.decisions, weights[None])[0]
        rows = [[_number(cell) for cell in row] for row in counts.tolist()]
        result["confusion_matrix"] = [row[:-1] for row in rows]
        result["undecided"] = {name: row[-1] for name, row in zip(task.class_names, rows)}
    return result


def set_nested(tree: dict[str, Any], path: MetricPath, value: object) -> None:
    """Set `tree[path[0]][path[1]]...`, making the dictionaries on the way."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _number(value: float) -> int | float:
    """Counts as whole numbers, weighted ones as they are."""
    return int(value) if value == int(value) else value


def _reason(task: Task, weights: np.ndarray, path: MetricPath) -> str:
    if (path[-1] in AT_THRESHOLD or path[0] in AT_THRESHOLD) and not task.in_unit_interval:
        return "the scores are not all in [0, 1]"
    if path[0] in ("mean_auc", "macro_average"):
        return "no class has both examples and counter-examples"
    if path[0] == "mean_auc_isic2017":
        return "needs the areas of melanoma and of seborrheic_keratosis"
    if len(path) == 1:
        if task.decisions is None:
            return "the columns are not all of the classes to decide between"
        if path[0] in _OF_PROBABILITIES and not look_like_probabilities(task.scores):
            return "the scores are not probabilities"
        return "no image of a known class"
    name = path[1]
    membership = task.membership[:, task.class_names.index(name)]
    if not weights[membership == 1].sum():
        return f"no example of {name}"
    if not weights[membership == 0].sum():
        return f"no example of any class but {name}"
    return (
        f"no score of {name} above 0.5" if path[0] == "ppv" else f"all scores of {name} above 0.5"
    )
