"""Tables of the report as plain data; `templates/macros.html.j2` writes them as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union


@dataclass(frozen=True)
class Estimate:
    """A cell with a metric.

    Attributes:
        value: written out.
        interval: its limits, written out; empty where there are none.
    """

    value: str
    interval: str = ""


Cell = Union[str, Estimate]


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        caption: title, and name of the region that scrolls.
        header: names of the columns.
        rows: cells; the first of each is a header.
        text_columns: how many columns, from the left, hold text; the others are set as numbers.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: int = 1

    def kind(self, column: int) -> str:
        """The class of a column's cells, `text` or `number`."""
        return "text" if column < self.text_columns else "number"


def value(metric: float | None) -> str:
    """Three digits, or `undefined`."""
    return "undefined" if metric is None else f"{metric:.3f}"


def estimate(metric: float | None, interval: Mapping[str, Any] | None) -> Estimate:
    """A metric and its interval."""
    limits = "" if interval is None else f"{interval['low']:.3f}, {interval['high']:.3f}"
    return Estimate(value(metric), limits)


def limits(interval: Mapping[str, Any] | None) -> str:
    """An interval in a cell of its own."""
    return "" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}"
