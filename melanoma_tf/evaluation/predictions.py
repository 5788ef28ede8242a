"""Predictions of a classifier: one row per image, and the CSV file that carries them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core.csv_text import csv_text, unescaped
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.datasets.readers.label_files import GROUP_COLUMN, LABEL_COLUMN
from melanoma_tf.datasets.readers.tables import (
    Row,
    is_image_id,
    key_column,
    read_header,
    read_table,
)
from melanoma_tf.evaluation.metrics.task import ISIC2017_PAIR

IMAGE_COLUMN = "image_id"

UNKNOWN = -1

# The challenges' names of classes. `target` is melanoma in ISIC 2020 and malignant in ISIC 2024.
CLASS_CODES = {
    "MEL": "melanoma",
    "NV": "nevus",
    "BCC": "basal_cell_carcinoma",
    "AK": "actinic_keratosis",
    "AKIEC": "actinic_keratosis",
    "BKL": "benign_keratosis",
    "DF": "dermatofibroma",
    "VASC": "vascular_lesion",
    "SCC": "squamous_cell_carcinoma",
    "SCCKA": "squamous_cell_carcinoma",
    "INF": "inflammation_or_infection",
    "BEN_OTH": "other_benign_lesion",
    "MAL_OTH": "other_malignant_lesion",
    "UNK": "unknown",
}
MALIGNANT, UNKNOWN_CLASS = "malignant", "unknown"
# Submissions of ISIC 2016 and 2017 may lack a header.
_WITHOUT_HEADER = {2: ("image", "melanoma"), 3: (IMAGE_COLUMN, *ISIC2017_PAIR)}


@dataclass(frozen=True)
class Predictions:
    """Scores of images, with their true classes where known.

    Attributes:
        image_ids: one per image, all different.
        scores: float64 `(images, classes)`, finite, any range; larger means more of that class.
        class_names: in the order of the columns.
        labels: int64 `(images,)`, class index or -1 where unknown; None where none is known.
        groups: per image, what is drawn together in a bootstrap (the patient); an empty string
            stands for an image on its own. None where nothing is known.
    """

    image_ids: tuple[str, ...]
    scores: np.ndarray
    class_names: tuple[str, ...]
    labels: np.ndarray | None = None
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        n_images, n_classes = len(self.image_ids), len(self.class_names)
        if self.scores.shape != (n_images, n_classes):
            raise MelanomaError(
                f"expected scores of shape ({n_images}, {n_classes}), found {self.scores.shape}"
            )
        if self.labels is not None and self.labels.shape != (n_images,):
            raise MelanomaError(
                f"expected labels of shape ({n_images},), found {self.labels.shape}"
            )
        if self.labels is not None and np.any((self.labels < UNKNOWN) | (self.labels >= n_classes)):
            raise MelanomaError(f"expected labels from -1 to {n_classes - 1}; found others")
        if self.groups is not None and len(self.groups) != n_images:
            raise MelanomaError(f"expected {n_images} groups, found {len(self.groups)}")
        refuse_duplicates("image ids", self.image_ids)
        refuse_duplicates("classes", self.class_names)
        _refuse_non_finite(self.image_ids, self.scores)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the CSV: `image_id`, one column per class, then `label` and `patient_id` where known.

    Scores are written so that reading gives back the same float64. The file is whole or absent.
    """
    labels, groups = predictions.labels, predictions.groups
    header = [IMAGE_COLUMN, *predictions.class_names]
    header += [LABEL_COLUMN] if labels is not None else []
    header += [GROUP_COLUMN] if groups is not None else []
    rows: list[list[Any]] = [header]
    names = (*predictions.class_names, "")  # the last one is what -1 points to
    for index, image_id in enumerate(predictions.image_ids):
        row: list[Any] = [image_id, *predictions.scores[index].tolist()]
        if labels is not None:
            row.append(names[labels[index]])
        if groups is not None:
            row.append(groups[index])
        rows.append(row)
    write_atomically(path, csv_text(rows))


def read_predictions(path: Path, class_names: Sequence[str] | None = None) -> Predictions:
    """Read what `write_predictions` wrote, or a participant's file of any challenge.

    The challenges' names are put into ours (`image` for `image_id`, `MEL` for `melanoma`); the
    columns may be in any order. Files of ISIC 2016 and 2017 may lack a header.

    Args:
        path: the table, or a ZIP archive of it.
        class_names: the classes expected, in the order wanted; None takes the file's own. Of
            taxonomy isic2017, the challenge's two columns are enough.

    Raises:
        MelanomaError: a column is missing, unknown or there twice; an image is listed twice, or
            its id is empty or has control characters; a score is empty, no number, NaN or
            infinite; a label is no class.
    """
    header = read_header(path)
    without_header = _WITHOUT_HEADER.get(len(header), ()) if is_image_id(header[0]) else ()
    columns = without_header or header
    key = key_column(path, columns)
    column = _class_columns(path, columns, key)
    names = tuple(column) if class_names is None else _expected(path, column, class_names)
    rows = list(read_table(path, without_header=without_header))
    if not rows:
        raise MelanomaError(f"{path}: expected a header and at least one row, found no row")
    image_ids = tuple(unescaped(row.image_id(key)) for row in rows)
    if not all(image_ids):
        raise MelanomaError(f"{path}: expected an image id in every row; found an empty one")
    for image_id in image_ids:
        if not image_id.isprintable():
            raise MelanomaError(
                f"{path}: expected image ids without control characters; found {image_id!a}"
            )
    labels = groups = None
    if LABEL_COLUMN in columns:
        labels = _labels(path, image_ids, [row.cells[LABEL_COLUMN] for row in rows], names)
    if GROUP_COLUMN in columns:
        groups = tuple(unescaped(row.cells[GROUP_COLUMN]) for row in rows)
    scores = np.array([[_score(row, column[name], key) for name in names] for row in rows])
    try:
        return Predictions(image_ids, scores, names, labels, groups)
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None


def _class_columns(path: Path, header: Sequence[str], key: str) -> dict[str, str]:
    """Map our names of classes to the columns that hold their scores."""
    codes = {**CLASS_CODES, "TARGET": MALIGNANT if key == "isic_id" else "melanoma"}
    others = {key, LABEL_COLUMN, GROUP_COLUMN}
    found = [(codes.get(name.upper(), name), name) for name in header if name not in others]
    try:
        refuse_duplicates("columns", [ours for ours, _ in found])
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None
    if not found:
        raise MelanomaError(f"{path}: expected a column per class; found {listed(header)}")
    return dict(found)


def _expected(path: Path, column: dict[str, str], class_names: Sequence[str]) -> tuple[str, ...]:
    """Check that the file has the classes expected."""
    missing = [name for name in class_names if name not in column]
    unknown = [name for name in column if name not in (*class_names, UNKNOWN_CLASS)]
    if not unknown and set(column) == set(ISIC2017_PAIR) and missing == ["nevus"]:
        return tuple(name for name in class_names if name in column)
    if missing or unknown or not class_names:
        raise MelanomaError(
            f"{path}: expected the classes {listed(class_names)}; "
            f"missing: {listed(missing)}; unknown: {listed(unknown)}"
        )
    return (*class_names, *(name for name in column if name not in class_names))


def _score(row: Row, column: str, key: str) -> float:
    value = row.number(column)
    if value is None:
        raise MelanomaError(
            f"{row.place}: expected a number in column {column!r} of {row.cells[key]}, "
            f"found {row.cells[column]!r}"
        )
    return value


def _labels(
    path: Path, image_ids: Sequence[str], texts: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    index = {**{name: number for number, name in enumerate(names)}, "": UNKNOWN}
    for image_id, text in zip(image_ids, texts):
        if text not in index:
            raise MelanomaError(
                f"{path}: expected the label of {image_id} out of {listed(names)}, found {text!r}"
            )
    return np.array([index[text] for text in texts], dtype=np.int64)


def matching_rows(other: Predictions, first: Predictions) -> np.ndarray:
    """Rows of the images of `first` in `other`, int64 `(images,)`.

    Raises:
        MelanomaError: the two are not of the same images.
    """
    row = {image_id: index for index, image_id in enumerate(other.image_ids)}
    known = set(first.image_ids)
    missing = [image_id for image_id in first.image_ids if image_id not in row]
    extra = [image_id for image_id in other.image_ids if image_id not in known]
    if missing or extra:
        raise MelanomaError(
            "expected predictions of the same images; "
            f"only in the first: {listed(missing)}; only in the other: {listed(extra)}"
        )
    return np.array([row[image_id] for image_id in first.image_ids], dtype=np.int64)


def refuse_duplicates(what: str, values: Sequence[str]) -> None:
    """Raise `MelanomaError` with the values that are there more than once."""
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise MelanomaError(f"expected different {what}; found more than once: {listed(twice)}")


def _refuse_non_finite(image_ids: Sequence[str], scores: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if bad.size:
        named = listed([image_ids[index] for index in bad.tolist()])
        raise MelanomaError(f"expected finite scores; found NaN or infinity for {named}")


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and the number of the others."""
    if not names:
        return "none"
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
