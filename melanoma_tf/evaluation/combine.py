"""Several predictions of the same images made into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import rankdata

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.predictions import Predictions, listed, matching_rows

COMBINATIONS = ("mean", "ranks", "folds")


def combine(members: Sequence[Predictions], how: str) -> Predictions:
    """One prediction per image out of several.

    `mean` averages the scores. `ranks` replaces, in each member and class, every score by its rank
    among the images, from 0 (smallest) to 1 (largest), ties sharing their mean rank, and averages
    those: members of different confidence count alike, and the result is no probability. `folds`
    puts the members one after the other, each image having been held out by exactly one.

    Args:
        members: of the same classes; for `mean` and `ranks` of the same images, in any order.
        how: one of `COMBINATIONS`.

    Raises:
        MelanomaError: no member, no such combination, other classes, other images.
    """
    if how not in COMBINATIONS:
        raise MelanomaError(
            f"expected a combination out of {', '.join(COMBINATIONS)}; found {how!r}"
        )
    if not members:
        raise MelanomaError("expected predictions to combine; found none")
    first = members[0]
    for other in members[1:]:
        if other.class_names != first.class_names:
            raise MelanomaError(
                f"expected predictions of the same classes; found {listed(first.class_names, 9)} "
                f"and {listed(other.class_names, 9)}"
            )
    if how == "folds":
        return _joined(members)
    aligned = [member.scores[matching_rows(member, first)] for member in members]
    if how == "ranks":
        aligned = [within_class_ranks(scores) for scores in aligned]
    return replace(first, scores=np.mean(aligned, axis=0))


def within_class_ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of every image in each column: 0 the smallest, 1 the largest, ties their mean.

    Args:
        scores: float `(images, classes)`.

    Returns:
        float64 of that shape in [0, 1]; a single image has 0.5.
    """
    if len(scores) == 1:
        return np.full(scores.shape, 0.5)
    return (np.asarray(rankdata(scores, axis=0), np.float64) - 1.0) / (len(scores) - 1)


def _joined(members: Sequence[Predictions]) -> Predictions:
    def column(values: Sequence[Sequence[str] | None]) -> tuple[str, ...] | None:
        if all(value is None for value in values):
            return None
        sizes = [len(member.image_ids) for member in members]
        filled = [value or ("",) * size for value, size in zip(values, sizes)]
        return tuple(text for part in filled for text in part)

    labels = [member.labels for member in members if member.labels is not None]
    return Predictions(
        image_ids=tuple(image_id for member in members for image_id in member.image_ids),
        scores=np.concatenate([member.scores for member in members]),
        class_names=members[0].class_names,
        labels=np.concatenate(labels) if len(labels) == len(members) else None,
        groups=column([member.groups for member in members]),
    )
