"""Tables with a header line: columns by name, numbers, image ids; faults are named by their line.

What people's files have is accepted and logged in one line: an index that pandas wrote, blank cells
behind the last column, decimal commas, `.jpg` behind image ids.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.readers.delimited import Lines, Notes, delimiter_name, open_lines

# Names of the column of image ids in the challenges' files. A lesion is named where no image is.
KEY_COLUMNS = ("image", "image_id", "image_name", "isic_id", "lesion_id")

_NO_VALUE = frozenset({"", "nan", "na", "n/a", "null", "none"})
_UNNAMED = re.compile(r"(Unnamed: \d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_ISIC_ID = re.compile(r"ISIC_\d+(_downsampled)?(\.jpe?g)?", re.IGNORECASE)
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|tiff?|dcm)$", re.IGNORECASE)
_LISTED_AT_ONCE = 9
_OLDEST = 150


@dataclass(frozen=True)
class Row:
    """One row of a table, with its line for error messages.

    Attributes:
        path: the file.
        line: the line in the file on which the row ends, from 1.
        cells: column name -> text; an absent value (NaN, NA, null, empty) is "".
        notes: for oddities that are accepted.
        decimal_commas: whether a comma in a number is a decimal mark.
    """

    path: Path
    line: int
    cells: dict[str, str]
    notes: Notes = field(repr=False, compare=False)
    decimal_commas: bool = False

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
            pass
        if self.decimal_commas and _DECIMAL_COMMA.fullmatch(text):
            self.notes.add("read decimal commas")
            return float(text.replace(",", "."))
        names = "/".join(columns)
        raise MelanomaError(f"{self.place}: expected a number in {names}, found {text[:40]!r}")

    def age(self, *columns: str) -> float | None:
        """Return the first value in the columns as an age in years, or None.

        Raises:
            MelanomaError: the value is no number from 0 to 150.
        """
        value = self.number(*columns)
        if value is not None and not 0 <= value <= _OLDEST:
            names, text = "/".join(columns), self.text(*columns)
            raise MelanomaError(
                f"{self.place}: expected an age from 0 to {_OLDEST} in {names}, found {text[:40]!r}"
            )
        return value

    def image_id(self, column: str) -> str:
        """Return the image id in a column, without the suffix of an image file; may be empty."""
        text = self.cells[column]
        name = _IMAGE_SUFFIX.sub("", text)
        if name != text:
            suffix = text[len(name) :]
            self.notes.add(f"removed {suffix} from image ids in the column {column}")
        return name

    def image_key(self, column: str) -> str:
        """Return the image id in a column, checked by `checked_key`."""
        return checked_key(self.image_id(column), self.place)


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


def is_image_id(cell: str) -> bool:
    """Tell whether a cell in the first line is an ISIC image id, so that there is no header."""
    return _ISIC_ID.fullmatch(cell) is not None


def key_column(path: Path, header: Sequence[str]) -> str:
    """Find the column of image ids, see `KEY_COLUMNS`.

    Raises:
        MelanomaError: there is none.
    """
    for name in KEY_COLUMNS:
        if name in header:
            return name
    expected = f"{', '.join(KEY_COLUMNS[:-1])} or {KEY_COLUMNS[-1]}"
    raise MelanomaError(f"{path}: expected a column {expected}; found {_listed(header)}")


def read_table(
    path: Path, required: Iterable[str] = (), *, without_header: Sequence[str] = ()
) -> Iterator[Row]:
    """Read the rows of a table; blank lines are passed over.

    Args:
        path: the table.
        required: columns that it must have.
        without_header: names of the columns of a table whose first line is that of an ISIC image.

    Raises:
        MelanomaError: as `delimited.open_lines`; the file names a column twice, lacks a required
            one, or has a row of another length than the header.
    """
    with open_lines(path) as opened:
        first = next(opened.lines)
        if without_header and is_image_id(first[1][0].strip()):
            opened.notes.add(f"no header: read the columns as {', '.join(without_header)}")
            columns = _Columns(path, list(without_header), opened)
            yield columns.row(*first)
        else:
            columns = _Columns(path, first[1], opened)
        absent = [name for name in required if name not in columns.names]
        if absent:
            raise MelanomaError(
                f"{path}: expected the column {', '.join(absent)}; found {_listed(columns.names)}"
            )
        columns.note_oddities()
        for line, values in opened.lines:
            yield columns.row(line, values)


def read_header(path: Path) -> tuple[str, ...]:
    """Read the cells in the first line of a table, the names of its columns where it has a header.

    Columns without a name, such as the index that pandas writes, are left out.
    """
    with open_lines(path, quiet=True) as opened:
        return _Columns(path, next(opened.lines)[1], opened).names


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


class _Columns:
    """The named columns of a table.

    Args:
        path: the file.
        header: the cells of the header line.
        opened: the file's lines.
    """

    def __init__(self, path: Path, header: list[str], opened: Lines):
        names = [name.strip() for name in header]
        self.path, self.opened = path, opened
        self.kept = [index for index, name in enumerate(names) if not _UNNAMED.fullmatch(name)]
        self.names = tuple(names[index] for index in self.kept)
        # Blank cells behind the last name are no columns; an unnamed one before it is an index.
        self.n_cells = max(self.kept, default=-1) + 1
        self.index = sorted(set(range(self.n_cells)) - set(self.kept))
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice and not is_image_id(names[0]):
            raise MelanomaError(f"{path}: expected each column once, found {twice[0]!r} twice")
        if not self.names:
            raise MelanomaError(f"{path}: expected names of columns in the first line, found none")

    def note_oddities(self) -> None:
        """Log what is unusual about the header."""
        notes = self.opened.notes
        if self.opened.delimiter != ",":
            notes.add(f"cells are separated by {delimiter_name(self.opened.delimiter)}")
        for index in self.index:
            notes.add(f"passed over column {index + 1}, which has no name (an index?)")

    def row(self, line: int, values: list[str]) -> Row:
        """Make the row of a line of cells."""
        if len(values) > self.n_cells and not any(map(str.strip, values[self.n_cells :])):
            self.opened.notes.add("passed over blank cells behind the last column")
        elif len(values) != self.n_cells:
            raise MelanomaError(
                f"{self.path} line {line}: expected {self.n_cells} fields, found {len(values)}"
            )
        texts = (values[index].strip() for index in self.kept)
        kept = ("" if text.lower() in _NO_VALUE else text for text in texts)
        cells = dict(zip(self.names, kept))
        return Row(self.path, line, cells, self.opened.notes, self.opened.delimiter != ",")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED_AT_ONCE
    return ", ".join(names[:_LISTED_AT_ONCE]) + (f" and {more:,} more" if more > 0 else "")
