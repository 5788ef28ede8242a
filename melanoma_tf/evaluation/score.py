"""Predictions against their truth: the images that count, and their scores with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_curve

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.classes import Columns, in_columns
from melanoma_tf.evaluation.metrics.bootstrap import group_indices
from melanoma_tf.evaluation.metrics.intervals import LEVEL, score_intervals
from melanoma_tf.evaluation.metrics.ranking import SENSITIVITIES
from melanoma_tf.evaluation.metrics.retrieval import top_retrieval_sensitivity
from melanoma_tf.evaluation.metrics.scores import task_scores
from melanoma_tf.evaluation.metrics.task import Task, prepare
from melanoma_tf.evaluation.predictions import MALIGNANT, Predictions, listed
from melanoma_tf.evaluation.truth import Truth, is_excluded

# What the official scorer calls `validation`, by the metric that a challenge ranks by.
_VALIDATED = ("n", "balanced_accuracy", "mean_auc", "macro_average")


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
        taxonomy: whose classes the columns are, where one was found.
        without_class: diagnosis -> number of the images whose diagnosis has no class in the
            taxonomy of the columns: they count against every class, and are not decided.
        validation: the same with the weights before the challenge closed, where the truth has them.
    """

    predictions: Predictions
    membership: np.ndarray
    weights: np.ndarray
    decide_classes: bool
    excluded: tuple[str, ...]
    unlabelled: int
    taxonomy: str | None = None
    without_class: Mapping[str, int] = field(default_factory=dict)
    validation: LabelledPredictions | None = None

    @property
    def labels(self) -> np.ndarray:
        """The predictions' labels, int64 `(images,)`; -1 where the class is unknown."""
        assert self.predictions.labels is not None  # `align_with_truth` sets them.
        return self.predictions.labels


def align_with_truth(
    predictions: Predictions, truth: Truth | None = None, *, taxonomy: str | None = None
) -> LabelledPredictions:
    """Align predictions with the truth, or with the labels that they carry.

    Args:
        predictions: of the images of the truth.
        truth: its diagnoses get the class that the taxonomy gives them, as in `build-records`.
        taxonomy: whose classes the columns are; None finds it.

    Raises:
        MelanomaError: the truth knows other images, or classes without a column; the labels that
            the predictions carry differ; there are no labels at all.
    """
    if truth is None:
        return _align_with_own_labels(predictions)
    row = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    known = set(predictions.image_ids)
    extra = [image_id for image_id in predictions.image_ids if image_id not in row]
    missing = [image_id for image_id in truth.image_ids if image_id not in known]
    if extra or missing:
        raise MelanomaError(
            "expected the images of the truth; "
            f"missing from the predictions: {listed(missing)}; not in the truth: {listed(extra)}"
        )
    order = np.array([row[image_id] for image_id in predictions.image_ids], dtype=np.int64)
    columns = in_columns(truth, predictions.class_names, taxonomy)
    aligned = _aligned(predictions, truth, columns, order)
    if np.array_equal(truth.weights, truth.validation_weights):
        return aligned
    earlier = _aligned(predictions, truth.weighted_for_validation(), columns, order)
    return replace(aligned, validation=earlier)


def _aligned(
    predictions: Predictions, truth: Truth, columns: Columns, order: np.ndarray
) -> LabelledPredictions:
    labelled = replace(
        predictions,
        labels=columns.labels[order],
        groups=predictions.groups
        if truth.groups is None
        else tuple(truth.groups[index] for index in order),
    )
    _refuse_other_labels(predictions, labelled)
    weights, membership = truth.weights[order], columns.membership[order]
    is_scored = (weights > 0) & (membership >= 0).any(axis=1)
    return LabelledPredictions(
        predictions=_selected(labelled, is_scored),
        membership=membership[is_scored],
        weights=weights[is_scored],
        decide_classes=bool(columns.has_column[order][is_scored].all()),
        excluded=tuple(np.array(predictions.image_ids, dtype=object)[weights == 0]),
        unlabelled=int(((weights > 0) & ~is_scored).sum()),
        taxonomy=columns.taxonomy.name if columns.taxonomy else None,
        without_class=columns.without_class,
    )


def with_softmax(predictions: Predictions) -> Predictions:
    """The same predictions with each row of logits turned into probabilities."""
    return replace(predictions, scores=softmax(predictions.scores, axis=-1))


def prepared(
    labelled: LabelledPredictions,
    *,
    min_tpr: float = 0.8,
    sensitivities: Sequence[float] = SENSITIVITIES,
    official: bool = False,
) -> Task:
    """The task that the metrics evaluate; see `metrics.task.prepare`."""
    return prepare(
        labelled.labels,
        labelled.predictions.scores,
        labelled.predictions.class_names,
        membership=labelled.membership,
        decide_classes=labelled.decide_classes,
        min_tpr=min_tpr,
        sensitivities=sensitivities,
        official=official,
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
    sensitivities: Sequence[float] = SENSITIVITIES,
    official: bool = False,
    progress: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]] = iter,
) -> dict[str, Any]:
    """Compute every metric and its 95 % interval.

    Args:
        labelled: predictions with their truth.
        rounds: of the bootstrap; 0 leaves the intervals out.
        seed: of the bootstrap.
        min_tpr: the sensitivity above which ISIC 2024's partial area is taken, in [0, 1).
        sensitivities: at which the specificity is taken, in (0, 1].
        official: give what the official scorer gives where the examples define nothing.
        progress: receives the blocks of resamples and yields them again (a progress bar).

    Returns:
        What `metrics.scores.task_scores` returns, with `excluded`, `unlabelled`, `taxonomy`,
        `without_class` and, where the truth has validation weights, `validation` (the scores with
        them); where there are rounds, `interval` (nested as the metrics are) and `bootstrap` (how
        it was done).

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
    options: dict[str, Any] = {
        "min_tpr": min_tpr, "sensitivities": sensitivities, "official": official
    }  # fmt: skip
    task = prepared(labelled, **options)
    result = task_scores(task, labelled.weights)
    result["official_conventions"] = official
    result.update(_beside_metrics(labelled, options))
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


def _beside_metrics(labelled: LabelledPredictions, options: dict[str, Any]) -> dict[str, Any]:
    """What was left out, and scores that have no interval."""
    found: dict[str, Any] = {
        "excluded": list(labelled.excluded),
        "unlabelled": labelled.unlabelled,
        "taxonomy": labelled.taxonomy,
        "without_class": dict(labelled.without_class),
        "top_15_retrieval_sensitivity": _retrieval(labelled),
    }
    if labelled.validation is not None:
        earlier = labelled.validation
        scores = task_scores(prepared(earlier, **options), earlier.weights)
        found["validation"] = {key: scores[key] for key in _VALIDATED}
    return found


def _retrieval(labelled: LabelledPredictions) -> float | None:
    """ISIC 2024's sensitivity of the top 15 of each patient; None without patients or positives."""
    groups, unit = groups_of(labelled)
    names = labelled.predictions.class_names
    wanted = next((name for name in (MALIGNANT, "melanoma") if name in names), None)
    if unit != "patient" or wanted is None:
        return None
    column = names.index(wanted)
    known = labelled.membership[:, column] >= 0
    positive = labelled.membership[known, column] == 1
    scores = labelled.predictions.scores[known, column]
    value = top_retrieval_sensitivity(positive, scores, groups[known])
    return None if np.isnan(value) else value


def roc_curves(labelled: LabelledPredictions) -> dict[str, dict[str, list[Any]]]:
    """Points of the ROC curve of each class against the rest.

    Returns:
        By class `false_positive_rate`, `true_positive_rate` and `threshold` (a score of at least it
        is called; infinite at the first point, where it is null), without points on straight
        lines, as scikit-learn gives them. A class without examples or counter-examples is absent.
    """
    curves = {}
    for index, name in enumerate(labelled.predictions.class_names):
        known = labelled.membership[:, index] >= 0
        truth = labelled.membership[known, index]
        if len(set(truth.tolist())) < 2:
            continue
        rates = roc_curve(
            truth,
            labelled.predictions.scores[known, index],
            sample_weight=labelled.weights[known],
        )
        false_rate, true_rate, threshold = (each.tolist() for each in rates)
        curves[name] = {
            "false_positive_rate": false_rate,
            "true_positive_rate": true_rate,
            "threshold": [None, *threshold[1:]],
        }
    return curves


def _align_with_own_labels(predictions: Predictions) -> LabelledPredictions:
    labels = predictions.labels
    if labels is None or not (labels >= 0).any():
        raise MelanomaError(
            "expected a column 'label' in the predictions, or a truth file; found neither"
        )
    excluded = is_excluded(predictions.image_ids)
    is_known = (labels >= 0) & ~excluded
    known = _selected(predictions, is_known)
    membership = (labels[is_known][:, None] == np.arange(len(predictions.class_names))).astype(
        np.int8
    )
    return LabelledPredictions(
        predictions=known,
        membership=membership,
        weights=np.ones(len(membership)),
        decide_classes=True,
        excluded=tuple(np.array(predictions.image_ids, dtype=object)[excluded]),
        unlabelled=int((~is_known & ~excluded).sum()),
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
