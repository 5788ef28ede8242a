"""Predictions against their truth: the images that count, and their scores with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.bootstrap import group_indices
from melanoma_tf.evaluation.metrics.intervals import LEVEL, score_intervals
from melanoma_tf.evaluation.metrics.scores import task_scores
from melanoma_tf.evaluation.metrics.task import Task, prepare
from melanoma_tf.evaluation.predictions import Predictions, listed
from melanoma_tf.evaluation.truth import Truth

# A class that other data sets file under a wider one.
_WIDER = {"seborrheic_keratosis": "benign_keratosis"}


@dataclass(frozen=True)
class LabelledPredictions:
    """Predictions of the images that count, with their truth, in the predictions' order.

    Attributes:
        predictions: with `labels` from the truth.
        membership: int8 `(images, classes)`: 1 of the class, 0 not, -1 unknown.
        weights: float64 `(images,)`, above 0.
        decide_classes: whether each image's class, where known, has a column.
        excluded: ids of images that the truth gives no weight.
        unlabelled: how many images were left out since nothing is known of them.
    """

    predictions: Predictions
    membership: np.ndarray
    weights: np.ndarray
    decide_classes: bool
    excluded: tuple[str, ...]
    unlabelled: int

    @property
    def labels(self) -> np.ndarray:
        """The predictions' labels, int64 `(images,)`; -1 where the class is unknown."""
        assert self.predictions.labels is not None  # `align_with_truth` sets them.
        return self.predictions.labels


def align_with_truth(predictions: Predictions, truth: Truth | None = None) -> LabelledPredictions:
    """Align predictions with the truth, or with the labels that they carry.

    Raises:
        MelanomaError: the truth knows other images or other classes; the labels that the
            predictions carry differ; there are no labels at all.
    """
    if truth is None:
        return _align_with_own_labels(predictions)
    row = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    known = set(predictions.image_ids)
    extra = [image_id for image_id in predictions.image_ids if image_id not in row]
    missing = [
        image_id
        for image_id, weight in zip(truth.image_ids, truth.weights)
        if image_id not in known and weight > 0
    ]
    if extra or missing:
        raise MelanomaError(
            "expected the images of the truth; "
            f"missing from the predictions: {listed(missing)}; not in the truth: {listed(extra)}"
        )
    order = np.array([row[image_id] for image_id in predictions.image_ids], dtype=np.int64)
    labels, membership, has_column = _in_columns(truth, predictions.class_names)
    labelled = replace(
        predictions,
        labels=labels[order],
        groups=predictions.groups
        if truth.groups is None
        else tuple(truth.groups[index] for index in order),
    )
    _refuse_other_labels(predictions, labelled)
    weights = truth.weights[order]
    is_scored = (weights > 0) & (membership[order] >= 0).any(axis=1)
    return LabelledPredictions(
        predictions=_selected(labelled, is_scored),
        membership=membership[order][is_scored],
        weights=weights[is_scored],
        decide_classes=bool(has_column[order][is_scored].all()),
        excluded=tuple(np.array(predictions.image_ids, dtype=object)[weights == 0]),
        unlabelled=int(((weights > 0) & ~is_scored).sum()),
    )


def with_softmax(predictions: Predictions) -> Predictions:
    """The same predictions with each row of logits turned into probabilities."""
    return replace(predictions, scores=softmax(predictions.scores, axis=-1))


def prepared(labelled: LabelledPredictions, *, min_tpr: float = 0.8) -> Task:
    """The task that the metrics evaluate."""
    return prepare(
        labelled.labels,
        labelled.predictions.scores,
        labelled.predictions.class_names,
        membership=labelled.membership,
        decide_classes=labelled.decide_classes,
        min_tpr=min_tpr,
    )


def groups_of(labelled: LabelledPredictions) -> tuple[np.ndarray, str]:
    """Groups that a bootstrap draws, int `(images,)`, and what one is: `image` or `patient`."""
    groups = labelled.predictions.groups
    indices = group_indices(groups, len(labelled.predictions.image_ids))
    return indices, "image" if groups is None or not any(groups) else "patient"


def score_predictions(
    labelled: LabelledPredictions,
    *,
    rounds: int = 1000,
    seed: int = 0,
    min_tpr: float = 0.8,
    progress: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]] = iter,
) -> dict[str, Any]:
    """Compute every metric and its 95 % interval.

    Args:
        labelled: predictions with their truth.
        rounds: of the bootstrap; 0 leaves the intervals out.
        seed: of the bootstrap.
        min_tpr: the sensitivity above which ISIC 2024's partial area is taken, in [0, 1).
        progress: receives the blocks of resamples and yields them again (a progress bar).

    Returns:
        What `metrics.scores.task_scores` returns, with `excluded`, `unlabelled` and, where there
        are rounds, `interval` (nested as the metrics are) and `bootstrap` (how it was done).

    Example:
        >>> import numpy as np
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.evaluation.predictions import Predictions
        >>> from melanoma_tf.evaluation.score import align_with_truth
        >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> names, labels = ("melanoma", "nevus"), np.array([0, 1, 1])
        >>> predictions = Predictions(("a", "b", "c"), scores, names, labels)
        >>> mt.score_predictions(align_with_truth(predictions), rounds=0)["auc"]["melanoma"]
        1.0
    """
    task = prepared(labelled, min_tpr=min_tpr)
    result = task_scores(task, labelled.weights)
    result["excluded"] = list(labelled.excluded)
    result["unlabelled"] = labelled.unlabelled
    if rounds:
        groups, unit = groups_of(labelled)
        result["interval"] = score_intervals(
            task, labelled.weights, groups, rounds=rounds, seed=seed, progress=progress
        )
        drawn = int(groups.max()) + 1
        result["bootstrap"] = {
            "rounds": rounds, "seed": seed, "level": LEVEL, "unit": unit, "units": drawn
        }  # fmt: skip
    return result


def _align_with_own_labels(predictions: Predictions) -> LabelledPredictions:
    labels = predictions.labels
    if labels is None or not (labels >= 0).any():
        raise MelanomaError(
            "expected a column 'label' in the predictions, or a truth file; found neither"
        )
    is_known = labels >= 0
    known = _selected(predictions, is_known)
    membership = (labels[is_known][:, None] == np.arange(len(predictions.class_names))).astype(
        np.int8
    )
    weights = np.ones(len(membership))
    return LabelledPredictions(known, membership, weights, True, (), int((~is_known).sum()))


def _in_columns(
    truth: Truth, class_names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, membership by the predictions' columns, and whether each image's class has one."""
    names = [name if name in class_names else _WIDER.get(name, name) for name in truth.class_names]
    target = [class_names.index(name) if name in class_names else -1 for name in names]
    _refuse_other_classes(truth, names, class_names)
    labels = np.array([*target, -1])[truth.labels]
    is_known = truth.labels >= 0
    membership = np.zeros((len(truth.image_ids), len(class_names)), dtype=np.int8)
    if truth.form == "binary":  # a benign image without a diagnosis may be of any other class
        membership[~is_known] = [0 if name == "melanoma" else -1 for name in class_names]
    membership[labels >= 0, labels[labels >= 0]] = 1
    return labels, membership, (labels >= 0) | ~is_known


def _refuse_other_classes(truth: Truth, names: list[str], class_names: tuple[str, ...]) -> None:
    if truth.form == "labels":
        missing = [name for name in names if name not in class_names]
        if missing:
            raise MelanomaError(
                f"expected a column of scores for each label; missing: {listed(missing)}"
            )
        return
    unknown = [name for name in class_names if name not in names]
    if truth.form == "binary":
        unknown = [] if "melanoma" in class_names else ["no column melanoma"]
    if unknown:
        raise MelanomaError(
            f"expected columns out of the truth's classes, {listed(truth.class_names, 9)}; "
            f"unknown: {listed(unknown)}"
        )


def _refuse_other_labels(predictions: Predictions, labelled: Predictions) -> None:
    own, given = predictions.labels, labelled.labels
    if own is None or given is None:
        return
    differs = np.flatnonzero((own >= 0) & (given >= 0) & (own != given))
    if differs.size:
        named = listed([predictions.image_ids[index] for index in differs])
        raise MelanomaError(f"expected the labels of the truth; the predictions differ in {named}")


def _selected(predictions: Predictions, keep: np.ndarray) -> Predictions:
    rows = np.flatnonzero(keep)
    labels, groups = predictions.labels, predictions.groups
    return Predictions(
        image_ids=tuple(predictions.image_ids[index] for index in rows),
        scores=predictions.scores[rows],
        class_names=predictions.class_names,
        labels=None if labels is None else labels[rows],
        groups=None if groups is None else tuple(groups[index] for index in rows),
    )
