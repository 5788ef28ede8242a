"""Progress bars, tables, and warnings on the error stream, for all commands."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import click

from melanoma_tf.datasets.image_files import PassedOver, describe

Item = TypeVar("Item")


def progress(items: Iterable[Item], *, label: str, total: int | None = None) -> Iterator[Item]:
    """Pass the items on, with a bar on the error stream where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(
        track(
            items, description=label, total=total, console=console, disable=not console.is_terminal
        )
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on the output stream; numbers are set to the right."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left")
    rows = [tuple(row) for row in rows]
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], (int, float)) for row in rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row))
    console = Console()
    # Without a terminal there is no width to fit: rows stay whole, so that they can be searched.
    if not console.is_terminal:
        console = Console(width=200)
    console.print(drawn)


class _Notes(logging.Handler):
    """Prints what the library logs, such as the oddities of a file: a line on the error stream."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"note: {record.getMessage()}", err=True)


def show_notes() -> None:
    """Print what the library logs from now on."""
    logger = logging.getLogger("melanoma_tf")
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes())


def warn_of_files(passed_over: Iterable[PassedOver]) -> None:
    """Warn of files that are not used, a line for each reason."""
    for line in describe(passed_over):
        warn(f"passed over {line}")


def warn(message: str) -> None:
    """Print one line on the error stream."""
    click.echo(f"warning: {message}", err=True)
