"""`--json`: what a command computes, for scripts; the same option for every command."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
SaveJson = Callable[[Any], None]

_STANDARD_OUTPUT = Path("-")


def json_output(content: str, *, has_overwrite: bool = False) -> Callable[[Command], Command]:
    """Add `--json FILE`, where `-` is the standard output and tables go to the error stream.

    The command takes `save_json` and calls it with its result as soon as it has it, before it
    prints: the reader of a pipe may be gone before the last table.

    Args:
        content: what is written, for the help.
        has_overwrite: the command has an `--overwrite` of its own, which counts for the JSON file
            too; else the option is added.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_json(*args: Any, json_path: Path | None, overwrite: bool, **given: Any) -> Any:
            inputs = list(_paths(given.values()))
            if has_overwrite:
                given["overwrite"] = overwrite
            with _writer(json_path, overwrite, inputs) as save_json:
                return command(*args, save_json=save_json, **given)

        file = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
        help = f"Write {content} to this file as JSON; - is the standard output."
        decorated: Command = with_json
        if not has_overwrite:
            replace = click.option("--overwrite", is_flag=True, help="Replace the JSON file.")
            decorated = replace(decorated)
        return click.option("--json", "json_path", type=file, metavar="FILE", help=help)(decorated)

    return decorate


@contextlib.contextmanager
def _writer(path: Path | None, overwrite: bool, inputs: list[Path]) -> Iterator[SaveJson]:
    from melanoma_tf.core.files import json_text, write_json
    from melanoma_tf.core.outputs import refuse_existing_file

    if path is None:
        yield lambda payload: None
    elif path == _STANDARD_OUTPUT:
        output = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield lambda payload: click.echo(json_text(payload), file=output, nl=False)
    else:
        refuse_existing_file(path, overwrite, inputs)
        yield lambda payload: write_json(path, payload)


def _paths(values: Iterable[Any]) -> Iterator[Path]:
    """The paths among the values of options and arguments."""
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, tuple):
            yield from _paths(value)
