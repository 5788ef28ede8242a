"""Text of tables -> lines of cells: encodings, archives, delimiters, line ends."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import refuse_special

_LOG = logging.getLogger("melanoma_tf.tables")
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff")
# A member of an archive is held in memory, and an archive of some KB can hold GBs.
_MOST_BYTES = 2**29
# RuntimeError: the archive is encrypted, or packed in a way that zipfile does not know.
_DAMAGE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
# What the challenges pack beside a table.
_NOT_TABLES = {"attribution.txt", "license.txt", "readme.txt", "readme.md"}


@dataclass(eq=False)
class Notes:
    """Oddities of a file that its reader accepts: each is logged once, in one line.

    Attributes:
        path: the file.
        quiet: log nothing, since the file is read again.
        said: what was logged already.
    """

    path: Path
    quiet: bool = False
    said: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Log an oddity as a warning, the first time that it is met."""
        if text not in self.said and not self.quiet:
            self.said.add(text)
            _LOG.warning("%s: %s", self.path, text)


@dataclass(frozen=True)
class Lines:
    """The lines of a table that hold something.

    Attributes:
        delimiter: what separates cells.
        notes: for oddities of the file.
        lines: number in the file, from 1, and cells of each line.
    """

    delimiter: str
    notes: Notes
    lines: Iterator[tuple[int, list[str]]]


@contextlib.contextmanager
def open_lines(path: Path, *, quiet: bool = False) -> Iterator[Lines]:
    """Open a delimited text file, or the only one in a ZIP archive.

    Commas, semicolons or tabs separate the cells, as the first line tells. UTF-8, or UTF-16 with a
    byte order mark; any line ends.

    Args:
        path: the file.
        quiet: do not log oddities; for a look at the header before the file is read.

    Raises:
        MelanomaError: the file is absent, empty, no text, or an archive of no table or several.
    """
    notes = Notes(path, quiet)
    refuse_special(path)
    try:
        with _open_text(path, notes) as stream:
            delimiter = _delimiter(stream.readline())
            stream.seek(0)
            yield Lines(delimiter, notes, _filled(path, stream, delimiter))
    except FileNotFoundError:
        raise MelanomaError(f"expected the label file {path}; it does not exist") from None
    except IsADirectoryError:
        raise MelanomaError(f"{path}: expected a CSV file, found a folder") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise MelanomaError(f"{path}: expected a CSV file in UTF-8, found {error}") from None


def _filled(path: Path, stream: IO[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_text_lines(path, stream), delimiter=delimiter, strict=True)
    empty = True
    for values in reader:
        if any(map(str.strip, values)):
            empty = False
            yield reader.line_num, values
    if empty:
        raise MelanomaError(f"{path}: expected a table with a header, found an empty one")


def _text_lines(path: Path, stream: IO[str]) -> Iterator[str]:
    """The lines, none with NUL, which is an error of `csv` before Python 3.11 and passes since."""
    for number, line in enumerate(stream, start=1):
        if "\0" in line:
            raise MelanomaError(f"{path}: expected text; found the character NUL in line {number}")
        yield line


@contextlib.contextmanager
def _open_text(path: Path, notes: Notes) -> Iterator[IO[str]]:
    with contextlib.ExitStack() as stack:
        binary: IO[bytes] = stack.enter_context(path.open("rb"))
        start = binary.read(4)
        binary.seek(0)
        if start in _ARCHIVE_STARTS:
            # In memory: the member of an archive cannot be read twice.
            binary = io.BytesIO(_unpacked(path, binary, notes))
            start = binary.read(4)
            binary.seek(0)
        encoding = "utf-16" if start[:2] in _UTF16_STARTS else "utf-8-sig"
        yield stack.enter_context(io.TextIOWrapper(binary, encoding=encoding, newline=""))


def _unpacked(path: Path, packed: IO[bytes], notes: Notes) -> bytes:
    try:
        with zipfile.ZipFile(packed) as archive:
            member = _table_in(path, archive)
            notes.add(f"read {member} of the archive")
            if archive.getinfo(member).file_size > _MOST_BYTES:
                raise MelanomaError(f"{path}: expected a table of at most 512 MiB in the archive")
            return archive.read(member)
    except _DAMAGE as error:
        raise MelanomaError(f"{path}: expected a CSV file in an archive, found {error}") from None


def _table_in(path: Path, archive: zipfile.ZipFile) -> str:
    names = [PurePosixPath(each.filename) for each in archive.infolist() if not each.is_dir()]
    shown = [name for name in names if "__MACOSX" not in name.parts and name.name[0] != "."]
    tables = [
        name
        for name in shown
        if name.suffix.lower() in {".csv", ".tsv", ".tab", ".txt"}
        and name.name.lower() not in _NOT_TABLES
    ]
    if len(tables) != 1:
        found = ", ".join(map(str, tables or shown)) or "nothing"
        raise MelanomaError(f"{path}: expected one table in the archive; found {found}")
    return str(tables[0])


def _delimiter(first_line: str) -> str:
    """The mark that separates most cells of the first line.

    Where semicolons separate, commas may be decimal marks: `ISIC_0000000;0,5;0,25`.
    """
    plain = "".join(first_line.split('"')[::2])
    if "\t" in plain:
        return "\t"
    return ";" if plain.count(";") and plain.count(";") >= plain.count(",") else ","


def delimiter_name(delimiter: str) -> str:
    """What messages call the delimiter: `semicolons`."""
    return _DELIMITERS[delimiter]
