"""Truth files: the official label files of ISIC 2017 to 2020, and a plain `image_id,label`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.predictions import (
    GROUP_COLUMN,
    IMAGE_COLUMN,
    LABEL_COLUMN,
    listed,
    numbers,
    read_named_table,
    refuse_duplicates,
)

# The official scorer gives this image of the 2018 test set no weight, in contradiction to the file.
EXCLUDED = ("ISIC_0035068",)

_WEIGHT_COLUMNS = ("score_weight", "validation_weight")
_ISIC2017 = ("melanoma", "seborrheic_keratosis")
# Diagnoses of ISIC 2020 that a taxonomy can name; its many "unknown" ones are benign all the same.
_ISIC2020_DIAGNOSES = {
    "melanoma": "melanoma",
    "nevus": "nevus",
    "seborrheic keratosis": "seborrheic_keratosis",
}


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
        form: `one-hot`, all classes have a column; `binary`, melanoma or not, and a diagnosis for
            some; `labels`, the classes that occur are named.
    """

    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    membership: np.ndarray
    weights: np.ndarray
    groups: tuple[str, ...] | None = None
    form: Literal["one-hot", "binary", "labels"] = "one-hot"


def read_truth(path: Path) -> Truth:
    """Read a truth file, whose form its header tells.

    - ISIC 2017: `image_id,melanoma,seborrheic_keratosis`; neither is a nevus.
    - ISIC 2018 and 2019: `image,MEL,NV,...`, one 1 in each row; `score_weight` where given.
    - ISIC 2020: `image_name,patient_id,...,diagnosis,...,target`; melanoma or not, with a diagnosis
      for some and the patient for all.
    - `image_id,label`, with `patient_id` where known.

    Raises:
        MelanomaError: the header is none of these; an image is listed twice; a row names no class
            or several; a cell is no number.
    """
    header, rows = read_named_table(path)
    if IMAGE_COLUMN not in header:
        raise MelanomaError(f"{path}: expected a column {IMAGE_COLUMN!r}; found {listed(header)}")
    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    try:
        refuse_duplicates("image ids", columns[IMAGE_COLUMN])
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None
    if "target" in columns:
        return _read_isic2020(path, columns)
    if LABEL_COLUMN in columns:
        return _read_labels(path, columns)
    return _read_one_hot(path, columns)


def _read_one_hot(path: Path, columns: dict[str, list[str]]) -> Truth:
    image_ids = tuple(columns[IMAGE_COLUMN])
    names = [
        name
        for name in columns
        if name not in (IMAGE_COLUMN, GROUP_COLUMN) and name not in _WEIGHT_COLUMNS
    ]
    if not names:
        raise MelanomaError(f"{path}: expected a column per class; found {listed(list(columns))}")
    cells = [list(row) for row in zip(*(columns[name] for name in names))]
    flags = numbers(path, image_ids, cells, names)
    _refuse_rows(path, image_ids, ~np.isin(flags, (0.0, 1.0)).all(axis=1), "0 or 1 in each class")
    is_isic2017 = tuple(names) == _ISIC2017
    if is_isic2017:
        names.append("nevus")
        flags = np.column_stack([flags, (flags == 0).all(axis=1)])
    _refuse_rows(path, image_ids, flags.sum(axis=1) != 1, "exactly one class of each image")
    return Truth(
        image_ids=image_ids,
        class_names=tuple(names),
        labels=flags.argmax(axis=1).astype(np.int64),
        membership=flags.astype(np.int8),
        weights=_weights(path, image_ids, columns),
        groups=tuple(columns[GROUP_COLUMN]) if GROUP_COLUMN in columns else None,
    )


def _read_isic2020(path: Path, columns: dict[str, list[str]]) -> Truth:
    image_ids = tuple(columns[IMAGE_COLUMN])
    target = numbers(path, image_ids, [[cell] for cell in columns["target"]], ["target"])[:, 0]
    _refuse_rows(path, image_ids, ~np.isin(target, (0.0, 1.0)), "a target of 0 or 1")
    is_melanoma = target == 1
    diagnoses = columns.get("diagnosis", ["unknown"] * len(image_ids))
    names = tuple(_ISIC2020_DIAGNOSES.values())
    index = {diagnosis: number for number, diagnosis in enumerate(_ISIC2020_DIAGNOSES)}
    labels = np.array([index.get(diagnosis, -1) for diagnosis in diagnoses], dtype=np.int64)
    labels[is_melanoma] = 0
    _refuse_rows(path, image_ids, (labels == 0) & ~is_melanoma, "target 1 for each melanoma")
    membership = (labels[:, None] == np.arange(len(names))).astype(np.int8)
    membership[labels < 0, 1:] = -1
    groups = tuple(columns[GROUP_COLUMN]) if GROUP_COLUMN in columns else None
    return Truth(image_ids, names, labels, membership, np.ones(len(labels)), groups, form="binary")


def _read_labels(path: Path, columns: dict[str, list[str]]) -> Truth:
    image_ids, texts = tuple(columns[IMAGE_COLUMN]), columns[LABEL_COLUMN]
    names = tuple(sorted(set(texts)))
    _refuse_rows(path, image_ids, np.array([not text for text in texts]), "a label of each image")
    index = {name: number for number, name in enumerate(names)}
    labels = np.array([index[text] for text in texts], dtype=np.int64)
    return Truth(
        image_ids=image_ids,
        class_names=names,
        labels=labels,
        membership=(labels[:, None] == np.arange(len(names))).astype(np.int8),
        weights=_weights(path, image_ids, columns),
        groups=tuple(columns[GROUP_COLUMN]) if GROUP_COLUMN in columns else None,
        form="labels",
    )


def _weights(path: Path, image_ids: Sequence[str], columns: dict[str, list[str]]) -> np.ndarray:
    weights = np.ones(len(image_ids))
    if "score_weight" in columns:
        cells = [[cell] for cell in columns["score_weight"]]
        weights = numbers(path, image_ids, cells, ["score_weight"])[:, 0]
    valid = np.isfinite(weights) & (weights >= 0)
    _refuse_rows(path, image_ids, ~valid, "a weight of 0 or more")
    return np.where(np.isin(image_ids, EXCLUDED), 0.0, weights)


def _refuse_rows(path: Path, image_ids: Sequence[str], bad: np.ndarray, expected: str) -> None:
    if bad.any():
        named = listed([image_ids[index] for index in np.flatnonzero(bad)])
        raise MelanomaError(f"{path}: expected {expected}; found otherwise for {named}")
