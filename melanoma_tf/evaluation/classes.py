"""Diagnoses of a truth -> labels and membership in the columns of predictions.

The columns are classes of a taxonomy, and a diagnosis has the class that `build-records` would give
it: against `melanoma` and `not_melanoma`, a nevus is not a melanoma.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import AKIEC, TARGETS, diagnosis_of
from melanoma_tf.datasets.lesion import TAXONOMIES, Taxonomy, taxonomy_named
from melanoma_tf.datasets.vocabularies import ANY_WORDS
from melanoma_tf.evaluation.metrics.task import ISIC2017_PAIR
from melanoma_tf.evaluation.predictions import MALIGNANT, UNKNOWN_CLASS, listed
from melanoma_tf.evaluation.truth import Truth

# Groups of diagnoses, and the narrower classes that some of their images may belong to.
_MAY_BE = {
    AKIEC: ("actinic_keratosis", "squamous_cell_carcinoma"),
    "benign_keratosis": ("seborrheic_keratosis",),
}
BENIGN = "benign"
_OPEN = ("benign", "malignant", "indeterminate", "unknown", "other_malignant_lesion")


@dataclass(frozen=True)
class Columns:
    """A truth in the terms of the columns of predictions.

    Attributes:
        labels: int64 `(images,)`, column of the image's class, -1 where unknown or without column.
        membership: int8 `(images, columns)`: 1 of the class, 0 not, -1 unknown.
        has_column: bool `(images,)`, false where the image's class is known but has no column.
        taxonomy: whose classes the columns are; None where the file has names of its own.
        without_class: diagnosis -> number of images, of those that the taxonomy has no class for.
    """

    labels: np.ndarray
    membership: np.ndarray
    has_column: np.ndarray
    taxonomy: Taxonomy | None
    without_class: dict[str, int]


@dataclass(frozen=True)
class _Place:
    """Where a diagnosis stands among the columns; `target` is its class, with a column or not."""

    target: str | None
    membership: tuple[int, ...]


def taxonomy_of(class_names: Sequence[str]) -> Taxonomy | None:
    """Find the taxonomy whose classes the columns are: all of them, or else some of them.

    Of several, the one with the fewest classes is taken; a column `unknown` belongs to any.
    """
    names = set(class_names) - {UNKNOWN_CLASS}
    fitting = [each for each in TAXONOMIES.values() if names and names <= set(each.classes)]
    return min(fitting, key=lambda each: len(each.classes), default=None)


def in_columns(
    truth: Truth, class_names: tuple[str, ...], taxonomy_name: str | None = None
) -> Columns:
    """Express a truth in the columns of predictions.

    Args:
        truth: of any set of images.
        class_names: of the columns.
        taxonomy_name: whose classes they are; None finds it.

    Raises:
        MelanomaError: the truth has classes that lack a column, or the columns are no classes of
            the truth.
    """
    taxonomy = taxonomy_named(taxonomy_name) if taxonomy_name else taxonomy_of(class_names)
    _refuse_other_columns(truth, class_names, taxonomy)
    distinct = list(dict.fromkeys(truth.diagnoses))
    places = [_place(diagnosis, truth, class_names, taxonomy) for diagnosis in distinct]
    _refuse_missing_columns(truth, class_names, dict(zip(distinct, places)))
    number = {diagnosis: index for index, diagnosis in enumerate(distinct)}
    of_image = np.array([number[diagnosis] for diagnosis in truth.diagnoses], dtype=np.int64)
    targets = [place.target for place in places]
    column = [class_names.index(name) if name in class_names else -1 for name in targets]
    labels = np.array(column, dtype=np.int64)[of_image]
    membership = np.array([place.membership for place in places], dtype=np.int8)[of_image]
    if MALIGNANT in class_names:
        _tell_malignant(truth, class_names, labels, membership)
    has_target = np.array([target is not None for target in targets])[of_image]
    outside = np.array([_is_outside(d, p) for d, p in zip(distinct, places)])[of_image]
    counted = outside & (truth.form != "binary") & (truth.weights > 0) & (taxonomy is not None)
    without = Counter(np.array(truth.diagnoses, dtype=object)[counted].tolist())
    has_column = (labels >= 0) | ~(has_target | (outside & (taxonomy is None)))
    return Columns(labels, membership, has_column, taxonomy, dict(without))


def _tell_malignant(
    truth: Truth, class_names: tuple[str, ...], labels: np.ndarray, membership: np.ndarray
) -> None:
    """Let the verdict of a file decide between malignant and benign, where it has one."""
    for value, name in ((1, MALIGNANT), (0, BENIGN)):
        if name in class_names:
            column = class_names.index(name)
            told = truth.malignant >= 0
            membership[told, column] = truth.malignant[told] == value
            labels[truth.malignant == value] = column


def _is_outside(diagnosis: str, place: _Place) -> bool:
    return place.target is None and diagnosis not in _OPEN


def _place(
    diagnosis: str, truth: Truth, class_names: tuple[str, ...], taxonomy: Taxonomy | None
) -> _Place:
    """Place a diagnosis among the columns."""
    own = taxonomy is None or diagnosis == UNKNOWN_CLASS or diagnosis not in TARGETS
    if own and diagnosis in class_names:
        return _of_class(diagnosis, class_names)
    if truth.form == "labels":
        # The labels of a prediction file are classes, which need not be diagnoses.
        if diagnosis in class_names:
            return _of_class(diagnosis, class_names)
        diagnosis = diagnosis_of(ANY_WORDS, diagnosis) or diagnosis
    target = taxonomy.targets.get(diagnosis) if taxonomy else None
    if target is not None:
        return _of_class(target, class_names)
    if diagnosis == UNKNOWN_CLASS and UNKNOWN_CLASS in truth.class_names:
        return _Place(UNKNOWN_CLASS, (0,) * len(class_names))  # ISIC 2019: none of the others
    if truth.form == "binary" or diagnosis in _OPEN:
        is_melanoma = TAXONOMIES["melanoma"].targets.get(diagnosis)
        no = {"melanoma"} if is_melanoma == "not_melanoma" else set()
        return _Place(None, tuple(0 if name in no else -1 for name in class_names))
    may_be = _MAY_BE.get(diagnosis, ())
    return _Place(None, tuple(-1 if name in may_be else 0 for name in class_names))


def _of_class(target: str, class_names: tuple[str, ...]) -> _Place:
    return _Place(target, tuple(int(name == target) for name in class_names))


def _refuse_other_columns(
    truth: Truth, class_names: tuple[str, ...], taxonomy: Taxonomy | None
) -> None:
    known = set(taxonomy.classes) if taxonomy else set(truth.class_names)
    known.add(UNKNOWN_CLASS)
    unknown = [name for name in class_names if name not in known]
    if truth.form == "binary" and taxonomy is None:
        unknown = [] if "melanoma" in class_names else ["no column melanoma"]
    if unknown and truth.form != "labels":
        raise MelanomaError(
            f"expected columns out of the truth's classes, {listed(truth.class_names, 9)}; "
            f"unknown: {listed(unknown)}"
        )


def _refuse_missing_columns(
    truth: Truth, class_names: tuple[str, ...], places: dict[str, _Place]
) -> None:
    """Refuse predictions without a column for a class that the truth has images of."""
    if truth.form == "labels":
        missing = [d for d, place in places.items() if place.target not in class_names]
        if missing:
            raise MelanomaError(
                f"expected a column of scores for each label; missing: {listed(missing)}"
            )
    if truth.form != "one-hot" or len(class_names) == 1 or set(class_names) == set(ISIC2017_PAIR):
        return
    counted = Counter(d for d, weight in zip(truth.diagnoses, truth.weights) if weight > 0)
    lacking: Counter[str] = Counter()
    for diagnosis, count in counted.items():
        target = places[diagnosis].target
        if target is not None and target not in class_names:
            lacking[target] += count
    if lacking:
        shown = [f"{name} ({count:,} images)" for name, count in lacking.items()]
        raise MelanomaError(
            f"expected a column for each class that the truth has; missing: {listed(shown)}"
        )
