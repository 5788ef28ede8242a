"""All metrics of a classifier for many weightings of the same images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.decisions import Decisions, decide, decision_metrics
from melanoma_tf.evaluation.metrics.ranking import (
    AT_THRESHOLD,
    SENSITIVITIES,
    RankedClass,
    rank_class,
    ranking_metrics,
)

MetricPath = tuple[str, ...]
ISIC2017_PAIR = ("melanoma", "seborrheic_keratosis")
# Metrics of each class whose mean over the classes the official scorer gives too.
AVERAGED = (*AT_THRESHOLD, "auc", "auc_above_sensitivity_80", "average_precision")


@dataclass(frozen=True)
class Task:
    """Images, their truth and their scores, prepared for repeated evaluation.

    Attributes:
        class_names: in the order of the columns.
        n_images: how many there are.
        membership: int8 `(images, classes)`: 1 of the class, 0 not, -1 unknown.
        scores: float64 `(images, classes)`.
        ranked: per class, its images sorted.
        decisions: None where deciding for one class out of all has no meaning.
        min_tpr: of ISIC 2024's partial area.
        sensitivities: at which the specificity is taken.
        official: see `ranking.ranking_metrics`.
    """

    class_names: tuple[str, ...]
    n_images: int
    membership: np.ndarray
    scores: np.ndarray
    ranked: tuple[RankedClass, ...]
    decisions: Decisions | None
    min_tpr: float
    sensitivities: tuple[float, ...] = SENSITIVITIES
    official: bool = False

    @property
    def in_unit_interval(self) -> bool:
        """Tell whether all scores lie in [0, 1], so that 0.5 is a threshold."""
        return bool(((self.scores >= 0) & (self.scores <= 1)).all())


def prepare(
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    *,
    membership: np.ndarray | None = None,
    decide_classes: bool = True,
    min_tpr: float = 0.8,
    sensitivities: Sequence[float] = SENSITIVITIES,
    official: bool = False,
) -> Task:
    """Sort and decide once.

    Args:
        labels: int `(images,)`, class index, -1 where unknown.
        scores: float `(images, classes)`, finite.
        class_names: in the order of the columns.
        membership: int8 `(images, classes)`, 1 of the class, 0 not, -1 unknown, where more is
            known than the labels say (not a melanoma, but which of the others?).
        decide_classes: false leaves out the metrics of one class out of all.
        min_tpr: in [0, 1).
        sensitivities: at which the specificity is taken, in (0, 1].
        official: see `ranking.ranking_metrics`.

    Raises:
        MelanomaError: shapes that do not fit, scores that are not finite, `min_tpr` outside [0, 1),
            a sensitivity outside (0, 1].
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    n_classes = len(class_names)
    if labels.ndim != 1 or scores.shape != (len(labels), n_classes):
        raise MelanomaError(
            f"expected scores of shape (images, {n_classes}) and as many labels; "
            f"found {scores.shape} and {labels.shape}"
        )
    if not np.isfinite(scores).all():
        raise MelanomaError("expected finite scores; found NaN or infinity")
    if labels.size and not -1 <= labels.min() <= labels.max() < n_classes:
        raise MelanomaError(f"expected labels from -1 to {n_classes - 1}; found others")
    if not 0 <= min_tpr < 1:
        raise MelanomaError(f"expected a minimal sensitivity in [0, 1), found {min_tpr}")
    if not all(0 < each <= 1 for each in sensitivities):
        raise MelanomaError(f"expected sensitivities in (0, 1], found {list(sensitivities)}")
    if membership is None:
        membership = (labels[:, None] == np.arange(n_classes)).astype(np.int8)
        membership[labels < 0] = -1
    return Task(
        class_names=tuple(class_names),
        n_images=len(labels),
        membership=membership,
        scores=scores,
        ranked=tuple(
            rank_class(membership[:, index] == 1, membership[:, index] >= 0, scores[:, index])
            for index in range(n_classes)
        ),
        decisions=decide(labels, scores) if decide_classes and n_classes > 1 else None,
        min_tpr=min_tpr,
        sensitivities=tuple(sensitivities),
        official=official,
    )


def all_metrics(task: Task, weights: np.ndarray) -> dict[MetricPath, np.ndarray]:
    """Compute every metric of every weighting.

    Args:
        task: the images.
        weights: int or float `(rounds, images)`, not negative.

    Returns:
        Float64 `(rounds,)` by path, `("auc", "melanoma")`, NaN where undefined. `mean_auc` and
        `macro_average` are over the classes that are defined, `mean_auc_isic2017` over melanoma and
        seborrheic keratosis, both of which must be. Scores outside [0, 1] have no decision at 0.5.
    """
    metrics: dict[MetricPath, np.ndarray] = {}
    for name, ranked in zip(task.class_names, task.ranked):
        found = ranking_metrics(
            ranked,
            weights,
            sensitivities=task.sensitivities,
            min_tpr=task.min_tpr,
            official=task.official,
        )
        for metric, values in found.items():
            first, _, rest = metric.partition("/")
            undefined = first in AT_THRESHOLD and not task.in_unit_interval
            path = (first, name, rest) if rest else (first, name)
            metrics[path] = np.full_like(values, np.nan) if undefined else values
    for metric in AVERAGED:
        of_classes = np.stack([metrics[metric, name] for name in task.class_names])
        metrics["macro_average", metric] = _mean_of_defined(of_classes)
    metrics["mean_auc",] = metrics["macro_average", "auc"]
    if set(ISIC2017_PAIR) <= set(task.class_names):
        first_area, second_area = (metrics["auc", name] for name in ISIC2017_PAIR)
        metrics["mean_auc_isic2017",] = (first_area + second_area) / 2
    if task.decisions is not None:
        decided = decision_metrics(task.decisions, weights)
        metrics.update({(name,): values for name, values in decided.items()})
    return metrics


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis, without what is NaN; NaN where all are."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(defined, values, 0.0).sum(axis=0) / defined.sum(axis=0)
    return mean
