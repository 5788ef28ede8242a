"""CSV files: tolerates a BOM, Windows line ends and NaN cells, and names the line of a fault."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError

_NO_VALUE = frozenset({"", "nan", "na", "n/a", "null", "none"})


@dataclass(frozen=True)
class Row:
    """One row of a label file, with its line for error messages.

    Attributes:
        path: the file.
        line: the line in the file on which the row ends, from 1.
        cells: column name -> text; an absent value (NaN, NA, null, empty) is "".
    """

    path: Path
    line: int
    cells: dict[str, str]

    @property
    def place(self) -> str:
        """`labels.csv line 7`, for messages."""
        return f"{self.path} line {self.line}"

    def text(self, *columns: str) -> str:
        """Return the first value in the columns, else ""; empty column names are passed over."""
        return next((self.cells[name] for name in columns if name and self.cells.get(name)), "")

    def number(self, *columns: str) -> float | None:
        """Return the first value in the columns as a number, or None.

        Raises:
            MelanomaError: the value is not a number.
        """
        text = self.text(*columns)
        if not text or text.lower() == "unknown":
            return None
        try:
            return float(text)
        except ValueError:
            names = "/".join(columns)
            raise MelanomaError(
                f"{self.place}: expected a number in {names}, found {text!r}"
            ) from None

    def image_key(self, column: str) -> str:
        """Return the image id in a column, checked by `checked_key`."""
        return checked_key(self.cells[column], self.place)


def checked_key(key: str, place: str) -> str:
    """Check an image id from a file: it must not reach outside the source's folder.

    Args:
        key: the id.
        place: where it was found, for the message.

    Raises:
        MelanomaError: the id is empty, `.` or `..`, or holds a path separator or control character.
    """
    unsafe = any(character in "/\\:" or not character.isprintable() for character in key)
    if not key or key in {".", ".."} or unsafe:
        raise MelanomaError(f"{place}: expected an image id without path separators, found {key!r}")
    return key


def read_table(path: Path, required: Iterable[str] = ()) -> Iterator[Row]:
    """Read the rows of a CSV file with a header line; blank lines are passed over.

    Fields are separated by commas; if the header has none, by semicolons or tabs.

    Raises:
        MelanomaError: the file is absent, empty or not UTF-8, names a column twice, lacks a
            required one, or has a row of another length than the header.
    """
    with contextlib.closing(_records(path)) as records:
        header = _header(path, next(records)[1])
        absent = [name for name in required if name not in header]
        if absent:
            raise MelanomaError(
                f"{path}: expected the column {', '.join(absent)}; found {', '.join(header)}"
            )
        for line, values in records:
            yield _row(path, line, header, values)


def read_header(path: Path) -> tuple[str, ...]:
    """Read the cells in the first line of a CSV file."""
    with contextlib.closing(_records(path)) as records:
        return _header(path, next(records)[1])


def read_cells(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Read the rows of a CSV file without a header line, under the given column names.

    Raises:
        MelanomaError: as `read_table`.
    """
    for line, values in _records(path):
        yield _row(path, line, columns, values)


def unique(rows: Iterable[Row], column: str) -> Iterator[tuple[str, Row]]:
    """Yield image id and row, in the file's order.

    Raises:
        MelanomaError: an id occurs twice, or would leave the source's folder.
    """
    lines: dict[str, int] = {}
    for row in rows:
        key = row.image_key(column)
        if key in lines:
            raise MelanomaError(
                f"{row.path}: expected each image once, found {key} on lines "
                f"{lines[key]} and {row.line}"
            )
        lines[key] = row.line
        yield key, row


def _records(path: Path) -> Generator[tuple[int, list[str]], None, None]:
    """Yield line number and fields of each line that is not blank; at least one."""
    empty = True
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            delimiter = _delimiter(stream.readline())
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for values in reader:
                if any(map(str.strip, values)):
                    empty = False
                    yield reader.line_num, values
    except FileNotFoundError:
        raise MelanomaError(f"expected the label file {path}; it does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MelanomaError(f"{path}: expected a CSV file in UTF-8, found {error}") from None
    if empty:
        raise MelanomaError(f"{path}: expected a label file, found an empty one")


def _delimiter(first_line: str) -> str:
    return next((mark for mark in ",;\t" if mark in first_line), ",")


def _header(path: Path, values: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in values)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MelanomaError(f"{path}: expected each column once, found {twice[0]!r} twice")
    return names


def _row(path: Path, line: int, columns: Sequence[str], values: list[str]) -> Row:
    if len(values) != len(columns):
        raise MelanomaError(
            f"{path} line {line}: expected {len(columns)} fields, found {len(values)}"
        )
    cells = (value.strip() for value in values)
    kept = ("" if cell.lower() in _NO_VALUE else cell for cell in cells)
    return Row(path, line, dict(zip(columns, kept)))
