"""Label tables -> `LabelRow`s, whether or not the images are present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import Vocabulary, diagnosis_of, slug
from melanoma_tf.datasets.readers.tables import Row, read_header, read_table, unique

UNKNOWN = "unknown"


@dataclass(frozen=True)
class LabelRow:
    """One image as a label file describes it; the fields are those of `Lesion`."""

    key: str
    diagnosis: str
    lesion_id: str | None = None
    patient_id: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None


def label_row(row: Row, key: str, diagnosis: str) -> LabelRow:
    """Make a label row with the patient's data from the columns of the official files."""
    sex = row.text("sex").lower()
    site = row.text(
        "anatom_site_general_challenge", "anatom_site_general", "localization", "anatom_site"
    )
    return LabelRow(
        key,
        diagnosis,
        lesion_id=row.text("lesion_id") or None,
        patient_id=row.text("patient_id") or None,
        age=row.number("age_approx", "age_approximate", "age"),
        sex=sex if sex in {"female", "male"} else None,
        site=None if site.lower() == UNKNOWN else site or None,
    )


def metadata_rows(path: Path) -> dict[str, LabelRow]:
    """Read a challenge's metadata file: image id -> age, sex, site, lesion and patient."""
    header = read_header(path)
    names = ("image", "image_id", "image_name", "isic_id")
    column = next((name for name in names if name in header), "image")
    rows = unique(read_table(path, (column,)), column)
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
    path: Path, vocabulary: Vocabulary, classes: Sequence[str]
) -> tuple[LabelRow, ...]:
    """Read a table with the column `image` and one column per class, in any order."""
    rows = unique(read_table(path, ("image", *classes)), "image")
    return tuple(LabelRow(key, vocabulary[slug(one_hot(row, classes))]) for key, row in rows)


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
