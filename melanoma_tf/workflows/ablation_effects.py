"""Effects of the factors of an ablation: paired differences of means, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.bootstrap import (
    bootstrap_p_value,
    percentile_interval,
    resamples,
)
from melanoma_tf.evaluation.metrics.intervals import LEVEL
from melanoma_tf.evaluation.metrics.task import MetricPath, all_metrics
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.score import align_with_truth, groups_of, prepared

# The factors that are on in a run, and its seed.
Run = tuple[tuple[str, ...], int]


@dataclass(frozen=True)
class Effect:
    """What changes in a metric.

    Attributes:
        metric: its path.
        value: the mean of the differences; None where the metric is undefined.
        low, high: 95 % interval of the bootstrap over images or patients; None where undefined.
        p_value: two-sided, of no difference.
    """

    metric: MetricPath
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None


def contrasts(
    factors: Sequence[str], variants: Sequence[tuple[str, ...]]
) -> dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]]:
    """Pairs of variants whose mean difference is an effect.

    A factor's effect is its main effect: the mean difference over all pairs that differ in this
    factor alone. With several factors, `all` is the last variant less the first.

    Args:
        factors: the factors.
        variants: those that were trained, each as the factors that are on.

    Returns:
        By name of the effect: pairs of variants, first without and then with.
    """
    known = {frozenset(each): each for each in variants}
    found = {}
    for factor in factors:
        found[factor] = [
            (known[have - {factor}], each)
            for have, each in known.items()
            if factor in have and have - {factor} in known
        ]
    if len(factors) > 1:
        found["all"] = [(known[frozenset()], known[frozenset(factors)])]
    return found


def effects(
    predictions: Mapping[Run, Predictions],
    factors: Sequence[str],
    metrics: Sequence[MetricPath],
    *,
    rounds: int,
    seed: int,
) -> dict[str, list[Effect]]:
    """Compute the effects of `contrasts` on some metrics.

    Each pair is compared within each seed, and the differences are averaged. The bootstrap draws
    the same images for all runs; how much seeds differ is not in its intervals.

    Args:
        predictions: of the same images and classes, by run.
        factors: the factors.
        metrics: paths, see `evaluation.metrics.task.all_metrics`.
        rounds: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        MelanomaError: runs of other images or classes.
    """
    values, drawn = _metrics(predictions, metrics, rounds, seed)
    variants = list(dict.fromkeys(variant for variant, _ in predictions))
    seeds = list(dict.fromkeys(seed for _, seed in predictions))
    found: dict[str, list[Effect]] = {}
    for name, pairs in contrasts(factors, variants).items():
        runs = [((off, each), (on, each)) for off, on in pairs for each in seeds]
        found[name] = [
            _effect(
                metric,
                np.mean([values[on][metric] - values[off][metric] for off, on in runs], axis=0),
                np.mean([drawn[on][metric] - drawn[off][metric] for off, on in runs], axis=0),
            )
            for metric in metrics
        ]
    return found


def _effect(
    metric: MetricPath, value: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]
) -> Effect:
    if np.isnan(value[0]):
        return Effect(metric, None, None, None, None)
    low, high = percentile_interval(drawn, LEVEL) or (None, None)
    return Effect(metric, float(value[0]), low, high, bootstrap_p_value(drawn))


_Values = dict[Run, dict[MetricPath, npt.NDArray[np.float64]]]


def _metrics(
    predictions: Mapping[Run, Predictions], metrics: Sequence[MetricPath], rounds: int, seed: int
) -> tuple[_Values, _Values]:
    """The metrics of every run: of the images `(1,)`, and of every round `(rounds,)`."""
    first = next(iter(predictions.values()))
    groups = groups_of(align_with_truth(first))[0]
    values, drawn = {}, {}
    for run, each in predictions.items():
        if (each.image_ids, each.class_names) != (first.image_ids, first.class_names):
            raise MelanomaError(
                f"expected predictions of the same images and classes; those of seed {run[1]} of "
                f"{'+'.join(run[0]) or 'none'} are of others"
            )
        task = prepared(align_with_truth(each))
        once = all_metrics(task, np.ones((1, task.n_images)))
        # The same seed draws the same images for every run.
        blocks = [all_metrics(task, block) for block in resamples(groups, rounds, seed)]
        values[run] = {metric: once[metric] for metric in metrics}
        drawn[run] = {
            metric: np.concatenate([block[metric] for block in blocks]) for metric in metrics
        }
    return values, drawn
