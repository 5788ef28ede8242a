"""Metadata tables of the ISIC archive, which ISIC 2024 and downloads of isic-cli come with."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.datasets.diagnoses import diagnosis_of
from melanoma_tf.datasets.readers.label_files import UNKNOWN, VERDICT_COLUMNS, LabelRow, label_row
from melanoma_tf.datasets.readers.tables import Row, read_table, unique
from melanoma_tf.datasets.vocabularies import ARCHIVE_WORDS

# Diagnoses from the general to the specific, as two releases call the columns.
_LEVELS = tuple((f"diagnosis_{level}", f"iddx_{level}") for level in range(1, 6))
# A table with `isic_id` and one of these holds metadata, not scores or one-hot labels.
METADATA_COLUMNS = frozenset(
    (*sum(_LEVELS, ()), *VERDICT_COLUMNS, "diagnosis", "benign_malignant", "age_approx", "sex")
)


def archive_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read metadata of the ISIC archive: column `isic_id`; the others are optional.

    The diagnosis is the most specific of `diagnosis_5` to `diagnosis_1` (or `iddx_5` to `iddx_1`)
    that the vocabulary knows, else the older `diagnosis`, else the verdict (`benign_malignant`,
    `target`, `malignant`).
    """
    rows = unique(read_table(path, ("isic_id",)), "isic_id")
    return tuple(label_row(row, key, _diagnosis(row)) for key, row in rows)


def _diagnosis(row: Row) -> str:
    words = [row.text(*columns) for columns in reversed(_LEVELS)]
    words += [row.text("diagnosis"), row.text("benign_malignant")]
    for text in filter(None, words):
        diagnosis = diagnosis_of(ARCHIVE_WORDS, text)
        if diagnosis is not None:
            return diagnosis
    verdicts: dict[float | None, str] = {0.0: "benign", 1.0: "malignant"}
    return verdicts.get(row.number(*VERDICT_COLUMNS), UNKNOWN)
