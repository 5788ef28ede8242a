"""Predictions of a classifier: one row per image, and the CSV file that carries them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically

IMAGE_COLUMN, LABEL_COLUMN, GROUP_COLUMN = "image_id", "label", "patient_id"

UNKNOWN = -1

# The names that the ISIC challenges give to the image column and to the classes.
IMAGE_ALIASES = (IMAGE_COLUMN, "image", "image_name")
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
    "UNK": "unknown",
}


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
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    labels, groups = predictions.labels, predictions.groups
    header = [IMAGE_COLUMN, *predictions.class_names]
    header += [LABEL_COLUMN] if labels is not None else []
    header += [GROUP_COLUMN] if groups is not None else []
    writer.writerow(header)
    names = (*predictions.class_names, "")  # the last one is what -1 points to
    for index, image_id in enumerate(predictions.image_ids):
        row = [image_id, *map(repr, predictions.scores[index].tolist())]
        if labels is not None:
            row.append(names[labels[index]])
        if groups is not None:
            row.append(groups[index])
        writer.writerow(row)
    write_atomically(path, stream.getvalue())


def read_predictions(path: Path, class_names: Sequence[str] | None = None) -> Predictions:
    """Read what `write_predictions` wrote, or a file of that form.

    A challenge submission is one too: `image` for `image_id`, `MEL` for `melanoma`.

    Args:
        path: the CSV.
        class_names: the classes expected, in the order wanted; None takes the file's own.

    Raises:
        MelanomaError: a column is missing, unknown or there twice; an image is listed twice; a
            score is empty, no number, NaN or infinite; a label is no class.
    """
    header, rows = read_named_table(path)
    extras = {LABEL_COLUMN, GROUP_COLUMN}
    found = tuple(name for name in header if name != IMAGE_COLUMN and name not in extras)
    if header.count(IMAGE_COLUMN) == 0:
        raise MelanomaError(f"{path}: expected a column {IMAGE_COLUMN!r}; found {listed(header)}")
    names = found if class_names is None else tuple(class_names)
    missing = [name for name in names if name not in found]
    unknown = [name for name in found if name not in names]
    if missing or unknown or not names:
        raise MelanomaError(
            f"{path}: expected the classes {listed(names)}; "
            f"missing: {listed(missing)}; unknown: {listed(unknown)}"
        )
    column = {name: index for index, name in enumerate(header)}
    image_ids = tuple(row[column[IMAGE_COLUMN]] for row in rows)
    if not all(image_ids):
        raise MelanomaError(f"{path}: expected an image id in every row; found an empty one")
    cells = [[row[column[name]] for name in names] for row in rows]
    labels = groups = None
    if LABEL_COLUMN in column:
        texts = [row[column[LABEL_COLUMN]] for row in rows]
        labels = _labels(path, image_ids, texts, names)
    if GROUP_COLUMN in column:
        groups = tuple(row[column[GROUP_COLUMN]] for row in rows)
    scores = numbers(path, image_ids, cells, names)
    try:
        return Predictions(image_ids, scores, names, labels, groups)
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a CSV file, every row as long as the header.

    Raises:
        MelanomaError: no such file, no text, no rows, a column twice, a row of another length.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MelanomaError(f"expected the file {path}; it does not exist") from None
    except IsADirectoryError:
        raise MelanomaError(f"{path}: expected a CSV file, found a folder") from None
    except UnicodeDecodeError:
        raise MelanomaError(f"{path}: expected a CSV file, found bytes that are no text") from None
    except OSError as error:
        raise MelanomaError(f"{path}: expected a CSV file, found {error}") from None
    try:
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise MelanomaError(f"{path}: expected a CSV file, found {error}") from None
    if len(lines) < 2:
        raise MelanomaError(
            f"{path}: expected a header and at least one row, found {len(lines)} line(s)"
        )
    header = [name.strip() for name in lines[0]]
    try:
        refuse_duplicates("columns", header)
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(header):
            raise MelanomaError(
                f"{path}: expected {len(header)} cells in row {number}, found {len(row)}"
            )
    return header, [[cell.strip() for cell in row] for row in lines[1:]]


def read_named_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """`read_table` with the challenges' column names put into ours.

    Raises:
        MelanomaError: as `read_table`; two columns have one meaning.
    """
    header, rows = read_table(path)
    names = [IMAGE_COLUMN if name in IMAGE_ALIASES else name for name in header]
    names = [CLASS_CODES.get(name, name) for name in names]
    try:
        refuse_duplicates("columns", names)
    except MelanomaError as error:
        raise MelanomaError(f"{path}: {error}") from None
    return names, rows


def numbers(
    path: Path, image_ids: Sequence[str], cells: list[list[str]], names: Sequence[str]
) -> np.ndarray:
    """Cells as float64 `(rows, columns)`; one that is no number is an error that names it."""
    try:
        return np.array(cells, dtype=np.float64).reshape(len(cells), len(names))
    except ValueError:
        pass  # find the cell, to name it
    for image_id, row in zip(image_ids, cells):
        for name, cell in zip(names, row):
            try:
                float(cell)
            except ValueError:
                raise MelanomaError(
                    f"{path}: expected a number in column {name!r} of {image_id}, found {cell!r}"
                ) from None
    raise MelanomaError(f"{path}: expected a number in every class column")


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
        named = listed([image_ids[index] for index in bad])
        raise MelanomaError(f"expected finite scores; found NaN or infinity for {named}")


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and the number of the others."""
    if not names:
        return "none"
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
