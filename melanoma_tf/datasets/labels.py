"""Official label files -> `LabelRow`s: what is said of an image, whether or not it is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import CODES, diagnosis_of, slug
from melanoma_tf.datasets.tables import (
    Row,
    checked_key,
    read_cells,
    read_header,
    read_table,
    unique,
)

UNKNOWN = "unknown"
_DUPLICATE_COLUMNS = ("image_name_1", "image_name_2")
# Diagnoses of the archive, from the general to the special, as two releases call the columns.
_LEVELS = tuple((f"diagnosis_{level}", f"iddx_{level}") for level in range(1, 6))


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


def label_row(row: Row, key: str, diagnosis: str) -> LabelRow:
    """A label row with the patient's data, by the names that the official files use for them."""
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


def isic2016_labels(path: Path) -> tuple[LabelRow, ...]:
    """Part 3 of ISIC 2016: id and `benign` or `malignant` (training), 0.0 or 1.0 (test), no header.

    Raises:
        MelanomaError: another word stands there.
    """
    rows = unique(read_cells(path, ("image", "verdict")), "image")
    return tuple(LabelRow(key, _known(row, "isic2016", "verdict")) for key, row in rows)


def isic2017_labels(path: Path) -> tuple[LabelRow, ...]:
    """Part 3 of ISIC 2017: columns `image_id`, `melanoma`, `seborrheic_keratosis`.

    An image with neither is a nevus: of 2,000, 374 are melanoma, 254 seborrheic keratosis "and the
    remainder" benign nevi (https://challenge.isic-archive.com/landing/2017/44).
    """
    classes = ("melanoma", "seborrheic_keratosis")
    rows = unique(read_table(path, ("image_id", *classes)), "image_id")
    return tuple(LabelRow(key, one_hot(row, classes, none_set="nevus")) for key, row in rows)


def isic2018_labels(path: Path) -> tuple[LabelRow, ...]:
    """Task 3 of ISIC 2018: column `image` and one per class, in any order."""
    return _one_hot_labels(path, "isic2018", ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"))


def isic2019_labels(path: Path) -> tuple[LabelRow, ...]:
    """ISIC 2019: column `image` and one per class; UNK has a class in no taxonomy."""
    classes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
    return _one_hot_labels(path, "isic2019", classes)


def isic2020_labels(path: Path) -> tuple[LabelRow, ...]:
    """ISIC 2020: one row per image with patient, diagnosis and verdict (`target`).

    Most diagnoses are `unknown`; the verdict then tells that the lesion is benign.

    Raises:
        MelanomaError: an unknown diagnosis, or one that contradicts the verdict.
    """
    required = ("image_name", "patient_id", "diagnosis", "target")
    found = []
    for key, row in unique(read_table(path, required), "image_name"):
        malignant = row.number("target") == 1
        words = row.text("diagnosis")
        unsaid = slug(words) in {"", UNKNOWN}
        if unsaid:
            diagnosis = "malignant" if malignant else "benign"
        else:
            diagnosis = _known(row, "isic-archive", "diagnosis")
        if malignant != (diagnosis in {"melanoma", "malignant"}):
            raise MelanomaError(
                f"{row.place}: expected target {not malignant:d} for {words}, found {malignant:d}"
            )
        found.append(label_row(row, key, diagnosis))
    return tuple(found)


def ham10000_labels(path: Path) -> tuple[LabelRow, ...]:
    """HAM10000: columns `lesion_id`, `image_id`, `dx`, `dx_type`, `age`, `sex`, `localization`."""
    rows = unique(read_table(path, ("lesion_id", "image_id", "dx")), "image_id")
    return tuple(label_row(row, key, _known(row, "ham10000", "dx")) for key, row in rows)


def archive_labels(path: Path) -> tuple[LabelRow, ...]:
    """Metadata of the ISIC archive and of ISIC 2024: column `isic_id`, the rest where it is there.

    The most special of `diagnosis_5` to `diagnosis_1` (or `iddx_5` to `iddx_1`) that the table of
    diagnoses knows counts, then the older `diagnosis`, then the verdict (`benign_malignant`,
    `target`, `malignant`).
    """
    rows = unique(read_table(path, ("isic_id",)), "isic_id")
    return tuple(label_row(row, key, _archive_diagnosis(row)) for key, row in rows)


def metadata_rows(path: Path) -> dict[str, LabelRow]:
    """A challenge's metadata file by image id: age, sex, site, lesion and patient, no diagnosis."""
    header = read_header(path)
    names = ("image", "image_id", "image_name", "isic_id")
    column = next((name for name in names if name in header), "image")
    rows = unique(read_table(path, (column,)), column)
    return {key: label_row(row, key, UNKNOWN) for key, row in rows}


def duplicate_pairs(path: Path) -> tuple[tuple[str, str], ...]:
    """The official list of duplicates in ISIC 2020: columns `image_name_1`, `image_name_2`."""
    rows = read_table(path, _DUPLICATE_COLUMNS)
    left, right = _DUPLICATE_COLUMNS
    return tuple((row.image_key(left), row.image_key(right)) for row in rows)


# The columns by which a file is known -> its reader; the first that fits is taken.
_READERS: tuple[tuple[frozenset[str], Callable[[Path], Sequence[LabelRow]]], ...] = (
    (frozenset({"image_id", "melanoma", "seborrheic_keratosis"}), isic2017_labels),
    (frozenset({"image", "MEL", "UNK"}), isic2019_labels),
    (frozenset({"image", "MEL", "AKIEC"}), isic2018_labels),
    (frozenset({"image_name", "target"}), isic2020_labels),
    (frozenset({"image_id", "dx"}), ham10000_labels),
    (frozenset({"isic_id"}), archive_labels),
    (frozenset({"image", "age_approx"}), lambda path: tuple(metadata_rows(path).values())),
)


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """The rows of any official CSV label file, which is known by its columns; no image is needed.

    Raises:
        MelanomaError: the columns are those of no official file, or the file is faulty.
    """
    header = read_header(path)
    if len(header) == 2 and re.fullmatch(r"ISIC_\d+", header[0]):
        return isic2016_labels(path)
    for columns, reader in _READERS:
        if columns <= set(header):
            return tuple(reader(path))
    raise MelanomaError(
        f"{path}: expected an official label file of ISIC 2016 to 2024, HAM10000 or the ISIC"
        f" archive; found the columns {', '.join(header)}"
    )


def is_duplicate_list(path: Path) -> bool:
    """Whether the file is the list that `duplicate_pairs` reads."""
    return set(_DUPLICATE_COLUMNS) <= set(read_header(path))


def one_hot(row: Row, classes: Sequence[str], none_set: str | None = None) -> str:
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


def known_keys(names: Iterable[str], place: str) -> list[str]:
    """The names, each checked to be an image id and to stand there once.

    Raises:
        MelanomaError: one repeats, or is no image id.
    """
    found: dict[str, None] = {}
    for name in names:
        if checked_key(name, place) in found:
            raise MelanomaError(f"{place}: expected each image once, found {name} twice")
        found[name] = None
    return list(found)


def _one_hot_labels(path: Path, vocabulary: str, classes: Sequence[str]) -> tuple[LabelRow, ...]:
    rows = unique(read_table(path, ("image", *classes)), "image")
    codes = CODES[vocabulary]
    return tuple(LabelRow(key, codes[slug(one_hot(row, classes))]) for key, row in rows)


def _known(row: Row, vocabulary: str, column: str) -> str:
    """The diagnosis in a column of a closed vocabulary, in which a new word is an error."""
    diagnosis = diagnosis_of(vocabulary, row.cells[column])
    if diagnosis is None:
        words = ", ".join(CODES[vocabulary])
        raise MelanomaError(
            f"{row.place}: expected {column} out of {words}; found {row.cells[column]!r}"
        )
    return diagnosis


def _archive_diagnosis(row: Row) -> str:
    words = [row.text(*columns) for columns in reversed(_LEVELS)]
    words += [row.text("diagnosis"), row.text("benign_malignant")]
    for text in filter(None, words):
        diagnosis = diagnosis_of("isic-archive", text)
        if diagnosis is not None:
            return diagnosis
    verdicts: dict[float | None, str] = {0.0: "benign", 1.0: "malignant"}
    return verdicts.get(row.number("target", "malignant"), UNKNOWN)
