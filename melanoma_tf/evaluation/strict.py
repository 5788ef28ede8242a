"""What the official scorer of ISIC 2018 and later refuses, in its order.

https://github.com/ImageMarkup/isic-challenge-scoring, version 5.6, `load_csv.py`. It reads with
pandas: the conversions of pandas that decide (missing values, whole numbers) are those here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import refuse_special
from melanoma_tf.datasets.readers.label_files import WEIGHT_COLUMNS
from melanoma_tf.datasets.readers.tables import read_header, read_table
from melanoma_tf.evaluation.predictions import listed

_KEY = "image"
_MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
_WHOLE = re.compile(r"[+-]?\d+")
_LOOKED_AT = 2000  # characters in which two line ends are expected


def check_submission(path: Path, truth: Path) -> None:
    """Check a submission as the official scorer does before it scores.

    Args:
        path: the submission.
        truth: a label file with the column `image` and one column per class.

    Raises:
        MelanomaError: the first fault in the scorer's order: no text, no column `image`, an image
            twice, missing or extra columns, missing values, a column of whole numbers or texts,
            values outside [0, 1], missing or extra images. Or the truth is of another challenge.
    """
    classes = [name for name in read_header(truth) if name not in (_KEY, *WEIGHT_COLUMNS)]
    if _KEY not in read_header(truth):
        raise MelanomaError(
            f"{truth}: expected a truth of ISIC 2018 or later, with the column {_KEY!r}, since its "
            "scorer knows no other"
        )
    header, rows = _lines(path)
    image_ids = _image_ids(path, header, rows)
    _check_columns(path, header, classes)
    columns = {name: [row[header.index(name)] for row in rows] for name in classes}
    _check_values(path, image_ids, columns)
    known = [row.cells[_KEY] for row in read_table(truth)]
    missing = sorted(set(known) - set(image_ids))
    extra = sorted(set(image_ids) - set(known))
    _refuse(path, missing, "every image of the truth", "missing")
    _refuse(path, extra, "only images of the truth", "extra")


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    refuse_special(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise MelanomaError(f"{path}: expected text in UTF-8, found other bytes") from None
    except OSError as error:
        raise MelanomaError(f"{path}: expected a CSV file, found {error}") from None
    if text[:_LOOKED_AT].count("\n") < 2:
        raise MelanomaError(
            f"{path}: expected two line ends in the first {_LOOKED_AT:,} characters, found fewer"
        )
    try:
        lines = [row for row in csv.reader(io.StringIO(text.lstrip("\ufeff"))) if row]
    except csv.Error as error:
        raise MelanomaError(f"{path}: expected a CSV file, found {error}") from None
    if not lines:
        raise MelanomaError(f"{path}: expected a header, found none")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=2):
        if any(map(str.strip, row[len(header) :])):
            raise MelanomaError(
                f"{path}: expected {len(header)} cells in row {number}, found {len(row)}"
            )
    return header, [row + [""] * (len(header) - len(row)) for row in rows]


def _image_ids(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if _KEY not in header:
        raise MelanomaError(f"{path}: expected a column {_KEY!r}; found {listed(header, 9)}")
    column = header.index(_KEY)
    image_ids = [re.sub(r"\.jpg$", "", row[column], flags=re.IGNORECASE) for row in rows]
    seen: set[str] = set()
    twice = [name for name in image_ids if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    _refuse(path, list(dict.fromkeys(twice)), "each image once", "more than once")
    return image_ids


def _check_columns(path: Path, header: Sequence[str], classes: Sequence[str]) -> None:
    missing = [name for name in classes if name not in header]
    _refuse(path, missing, f"the columns {', '.join(classes)}", "missing")
    extra = [name for name in header if name not in (*classes, _KEY)]
    extra += [name for name in classes if header.count(name) > 1]
    _refuse(path, extra, f"no columns but {', '.join(classes)}", "extra")


def _check_values(path: Path, image_ids: Sequence[str], columns: dict[str, list[str]]) -> None:
    by_row = list(zip(image_ids, zip(*columns.values())))
    missing = [name for name, cells in by_row if any(cell.strip() in _MISSING for cell in cells)]
    _refuse(path, missing, "a value in each cell", "missing values of")
    others = [name for name, cells in columns.items() if not _is_float_column(cells)]
    _refuse(path, others, "numbers with a decimal point in each column", "other values in")
    outside = [name for name, cells in by_row if not all(0 <= float(cell) <= 1 for cell in cells)]
    _refuse(path, outside, "values in [0, 1]", "others of")


def _is_float_column(cells: Sequence[str]) -> bool:
    """Tell whether pandas makes a column of floats: numbers, and not all of them whole."""
    try:
        numbers = [float(cell) for cell in cells if "_" not in cell]
    except ValueError:
        return False
    whole = all(_WHOLE.fullmatch(cell.strip()) for cell in cells)
    return len(numbers) == len(cells) and not whole


def _refuse(path: Path, names: Sequence[str], expected: str, found: str) -> None:
    if names:
        raise MelanomaError(f"{path}: expected {expected}; {found}: {listed(list(names))}")
