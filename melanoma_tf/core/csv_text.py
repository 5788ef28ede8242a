"""CSV as this tool writes it: no cell that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

# https://owasp.org/www-community/attacks/CSV_Injection
_RUNS = ("=", "+", "-", "@", "\t", "\r")
_ESCAPE = "'"


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    r"""Rows as the text of a CSV file; texts are escaped, numbers stay as they are.

    Example:
        >>> csv_text([["image_id", "melanoma"], ["=cmd", -0.5]])
        "image_id,melanoma\n'=cmd,-0.5\n"
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([escaped(cell) for cell in row] for row in rows)
    return stream.getvalue()


def escaped(cell: Any) -> Any:
    """A text that a spreadsheet would run, behind an apostrophe; others, and numbers, as given."""
    if isinstance(cell, str) and cell.lstrip(_ESCAPE).startswith(_RUNS):
        return _ESCAPE + cell
    return cell


def unescaped(cell: str) -> str:
    """What `escaped` was given."""
    if cell.startswith(_ESCAPE) and cell.lstrip(_ESCAPE).startswith(_RUNS):
        return cell[1:]
    return cell
