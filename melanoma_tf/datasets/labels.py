"""Official label files -> `LabelRow`s: what is said of an image, whether or not it is here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.datasets.tables import Row, read_table, unique
from melanoma_tf.errors import MelanomaError


@dataclass(frozen=True)
class LabelRow:
    """What a label file says of one image; the fields are those of `Lesion`."""

    key: str
    diagnosis: str
    lesion_id: str | None = None
    patient_id: str | None = None
    age: float | None = None
    sex: str | None = None
    site: str | None = None


def isic2017_labels(path: Path) -> tuple[LabelRow, ...]:
    """Part 3 of ISIC 2017: columns `image_id`, `melanoma`, `seborrheic_keratosis`.

    An image with neither is a nevus: "Three unique diagnoses" (challenge.isic-archive.com/data).
    """
    classes = ("melanoma", "seborrheic_keratosis")
    rows = unique(read_table(path, ("image_id", *classes)), "image_id")
    return tuple(
        LabelRow(key, one_hot(row, classes, none_set="nevus")) for key, row in rows.items()
    )


def one_hot(row: Row, classes: tuple[str, ...], none_set: str | None = None) -> str:
    """The one column that holds 1 while the others hold 0.

    Args:
        row: a row with those columns.
        classes: column names.
        none_set: the answer where all are 0; None makes that an error.

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
