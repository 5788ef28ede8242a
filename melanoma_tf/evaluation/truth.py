"""Truth files: every label file that `build-records` reads, as the truth of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import LabelTable, read_label_table
from melanoma_tf.datasets.diagnoses import AKIEC

# The official scorer gives this image of the 2018 test set no weight, in contradiction to the file.
EXCLUDED = ("ISIC_0035068",)

# Diagnoses of ISIC 2020 that a taxonomy of three classes names; its many "unknown" ones are benign.
_OF_VERDICTS = ("melanoma", "nevus", "seborrheic_keratosis")
# Diagnoses that files have a class for, and the name of that class in the taxonomies.
_CLASS_NAMES = {AKIEC: "actinic_keratosis"}

TruthForm = Literal["one-hot", "binary", "labels"]


@dataclass(frozen=True)
class Truth:
    """Truth of a set of images.

    Attributes:
        image_ids: one per image, all different.
        class_names: the classes that the file can name.
        labels: int64 `(images,)`, class index, -1 where unknown.
        membership: int8 `(images, classes)`: 1 of the class, 0 not, -1 unknown.
        weights: float64 `(images,)`, what each image counts; 0 excludes it.
        groups: per image its patient, or an empty string; None where nothing is known.
        form: `one-hot`, the file tells all of its classes apart; `binary`, melanoma (or malignant)
            or not, and a diagnosis for some; `labels`, the classes that occur are named.
        diagnoses: one per image, a key of `datasets.diagnoses.TARGETS` or the file's own word.
        malignant: int8 `(images,)`: 1 or 0 where the file tells, else -1.
        validation_weights: float64 `(images,)`, the weights before the challenge closed.
    """

    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    membership: np.ndarray
    weights: np.ndarray
    groups: tuple[str, ...] | None
    form: TruthForm
    diagnoses: tuple[str, ...]
    malignant: np.ndarray
    validation_weights: np.ndarray

    def weighted_for_validation(self) -> Truth:
        """The same truth, each image counting as it did before the challenge closed."""
        return replace(self, weights=self.validation_weights)


def read_truth(path: Path) -> Truth:
    """Read a truth file: any label file of `datasets.catalogue.read_label_table`.

    - ISIC 2016: `ISIC_0000000,malignant`, without header.
    - ISIC 2017: `image_id,melanoma,seborrheic_keratosis`; neither is a nevus.
    - ISIC 2018, 2019, MILK10k: `image,MEL,NV,...`, one 1 in each row; `score_weight` and
      `validation_weight` where given.
    - HAM10000 and PH2: their own tables.
    - ISIC 2020, 2024: `target`; melanoma (malignant) or not, with a diagnosis for some and the
      patient for all.
    - `image_id,label`, with `patient_id` where known.

    Raises:
        MelanomaError: the file is none of these; an image is listed twice; a row names no class
            or several; a cell is no number.
    """
    table = read_label_table(path)
    forms: dict[str, TruthForm] = {"classes": "one-hot", "verdict": "binary", "words": "labels"}
    if table.form not in forms:
        raise MelanomaError(f"{path}: expected a file of labels, found one of metadata only")
    rows = table.rows
    diagnoses = tuple(row.diagnosis for row in rows)
    names = _class_names(table)
    index = {name: number for number, name in enumerate(names)}
    labels = np.array([index.get(_CLASS_NAMES.get(d, d), -1) for d in diagnoses], dtype=np.int64)
    membership = (labels[:, None] == np.arange(len(names))).astype(np.int8)
    membership[labels < 0, 1:] = -1
    image_ids = tuple(row.key for row in rows)
    groups = tuple(row.patient_id or "" for row in rows)
    malignant = [-1 if row.malignant is None else int(row.malignant) for row in rows]
    return Truth(
        image_ids=image_ids,
        class_names=names,
        labels=labels,
        membership=membership,
        weights=_counted(image_ids, [row.score_weight for row in rows]),
        groups=groups if any(groups) else None,
        form=forms[table.form],
        diagnoses=diagnoses,
        malignant=np.array(malignant, dtype=np.int8),
        validation_weights=_counted(image_ids, [row.validation_weight for row in rows]),
    )


def is_excluded(image_ids: Sequence[str]) -> np.ndarray:
    """Tell which images the official scorer gives no weight, bool `(images,)`.

    Args:
        image_ids: with or without a source in front, `isic2018/ISIC_0035068`.
    """
    return np.isin([image_id.rsplit("/", 1)[-1] for image_id in image_ids], EXCLUDED)


def _class_names(table: LabelTable) -> tuple[str, ...]:
    if table.form == "verdict":
        return _OF_VERDICTS
    if table.form == "words":
        return tuple(sorted({row.diagnosis for row in table.rows}))
    return tuple(dict.fromkeys(_CLASS_NAMES.get(name, name) for name in table.classes))


def _counted(image_ids: Sequence[str], weights: Sequence[float]) -> np.ndarray:
    return np.where(is_excluded(image_ids), 0.0, np.array(weights, dtype=np.float64))
