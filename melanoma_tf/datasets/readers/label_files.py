"""Label tables -> `LabelRow`s, whether or not the images are present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import Vocabulary, diagnosis_of, slug
from melanoma_tf.datasets.readers.tables import (
    KEY_COLUMNS,
    Row,
    is_image_id,
    key_column,
    read_header,
    read_table,
    unique,
)
from melanoma_tf.datasets.vocabularies import ANY_WORDS

UNKNOWN = "unknown"
LABEL_COLUMN, GROUP_COLUMN = "label", "patient_id"
VERDICT_COLUMNS = ("target", "malignant")
WEIGHT_COLUMNS = ("score_weight", "validation_weight")


@dataclass(frozen=True)
class LabelRow:
    """One image as a label file describes it; the fields are those of `Lesion`, and some more.

    Attributes:
        malignant: the file's verdict, where it has one besides the diagnosis.
        score_weight: what the image counts in the challenge's scores; 0 excludes it.
        validation_weight: what it counted while the challenge was open.
        image_type: such as `dermoscopic` or `clinical: close-up`, where the file tells.
    """

    key: str
    diagnosis: str
    lesion_id: str | None = None
    patient_id: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None
    score_weight: float = 1.0
    validation_weight: float = 1.0
    image_type: str | None = None
    malignant: bool | None = None


def label_row(row: Row, key: str, diagnosis: str) -> LabelRow:
    """Make a label row with what the columns of the official files tell besides."""
    sex = row.text("sex").lower()
    site = row.text(
        "anatom_site_general_challenge", "anatom_site_general", "localization", "anatom_site"
    )
    score, validation = (_weight(row, name) for name in WEIGHT_COLUMNS)
    return LabelRow(
        key,
        diagnosis,
        lesion_id=row.text("lesion_id") or None,
        patient_id=row.text("patient_id") or None,
        age=row.age("age_approx", "age_approximate", "age"),
        sex=sex if sex in {"female", "male"} else None,
        site=None if site.lower() == UNKNOWN else site or None,
        score_weight=score,
        validation_weight=validation,
        image_type=row.text("image_type") or None,
        malignant=_verdict(row),
    )


def _verdict(row: Row) -> bool | None:
    words = {"benign": False, "malignant": True}.get(row.text("benign_malignant").lower())
    number = {0.0: False, 1.0: True}.get(row.number(*VERDICT_COLUMNS) or 0.0)
    return number if row.text(*VERDICT_COLUMNS) else words


def _weight(row: Row, column: str) -> float:
    weight = row.number(column)
    if weight is None:
        return 1.0
    if not 0 <= weight < float("inf"):
        raise MelanomaError(
            f"{row.place}: expected a weight of 0 or more in {column}, found {row.cells[column]}"
        )
    return weight


def metadata_rows(path: Path) -> dict[str, LabelRow]:
    """Read a challenge's metadata file: image id -> age, sex, site, lesion and patient."""
    column = key_column(path, read_header(path))
    rows = unique(read_table(path), column)
    return {key: label_row(row, key, UNKNOWN) for key, row in rows}


def one_hot(row: Row, classes: Sequence[str], none_set: str | None = None) -> str:
    """Return the one column that holds 1 while the others hold 0.

    Args:
        row: a row with those columns.
        classes: column names.
        none_set: the result where all are 0; None makes that an error.

    Raises:
        MelanomaError: a cell is neither 0 nor 1, or not exactly one is 1.
    """
    values = [row.number(name) for name in classes]
    for name, value in zip(classes, values):
        if value not in (0, 1):
            raise MelanomaError(
                f"{row.place}: expected 0 or 1 in {name}, found {row.cells[name]!r}"
            )
    chosen = [name for name, value in zip(classes, values) if value == 1]
    if not chosen and none_set is not None:
        return none_set
    if len(chosen) != 1:
        raise MelanomaError(
            f"{row.place}: expected one diagnosis, found {', '.join(chosen) or 'none'}"
        )
    return chosen[0]


def one_hot_labels(
    path: Path, vocabulary: Vocabulary, classes: Sequence[str], none_set: str | None = None
) -> tuple[LabelRow, ...]:
    """Read a table with a column of image ids and one column per class, in any order.

    Args:
        path: the table.
        vocabulary: the classes' diagnoses; a class without one is its own.
        classes: column names.
        none_set: the class of an image without any; None makes that an error.
    """
    header = read_header(path)
    without_header = (KEY_COLUMNS[0], *classes) if is_image_id(header[0]) else ()
    column = without_header[0] if without_header else key_column(path, header)
    rows = unique(read_table(path, classes, without_header=without_header), column)
    found = []
    for key, row in rows:
        name = one_hot(row, classes, none_set)
        found.append(label_row(row, key, vocabulary.get(slug(name), name)))
    return tuple(found)


def class_columns(header: Sequence[str]) -> tuple[str, ...]:
    """List the columns of a table that are neither image, label, patient nor weight."""
    others = {*KEY_COLUMNS, LABEL_COLUMN, GROUP_COLUMN, *WEIGHT_COLUMNS}
    return tuple(name for name in header if name not in others)


def any_one_hot_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read a table with any classes for columns; a class that no word means is its own diagnosis.

    Raises:
        MelanomaError: there is no column of image ids, or none of a class.
    """
    header = read_header(path)
    key_column(path, header)
    classes = class_columns(header)
    if not classes:
        raise MelanomaError(f"{path}: expected a column per class; found {', '.join(header)}")
    return one_hot_labels(path, ANY_WORDS, classes)


def word_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read a table with the columns of image ids and `label`, a word as it stands there.

    Raises:
        MelanomaError: an image has no label.
    """
    column = key_column(path, read_header(path))
    found = []
    for key, row in unique(read_table(path, (LABEL_COLUMN,)), column):
        if not row.text(LABEL_COLUMN):
            raise MelanomaError(f"{row.place}: expected a label of each image, found none")
        found.append(label_row(row, key, row.text(LABEL_COLUMN)))
    return tuple(found)


def known_diagnosis(row: Row, vocabulary: Vocabulary, column: str) -> str:
    """Return the diagnosis in a column of a closed vocabulary.

    Raises:
        MelanomaError: the vocabulary lacks the word.
    """
    diagnosis = diagnosis_of(vocabulary, row.cells[column])
    if diagnosis is None:
        words = ", ".join(vocabulary)
        raise MelanomaError(
            f"{row.place}: expected {column} out of {words}; found {row.cells[column]!r}"
        )
    return diagnosis
