"""The part of `beam` that runs on the workers of Apache Beam; importing it needs Beam."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import apache_beam

from melanoma_tf.core.beam import finish, write_results


class WriteResults(apache_beam.DoFn):
    """Writes the results of the items of a bundle into one file.

    Args:
        task: see `beam.flat_map_on_beam`.
        folder: of the files.
    """

    def __init__(self, task: Callable[[Any], Iterable[Any]], folder: str) -> None:
        self._task = task
        self._folder = folder

    def start_bundle(self) -> None:
        """Open the file."""
        # Names of attempts differ: a repeated bundle never writes into the file of another.
        self._path = Path(self._folder) / f"{secrets.token_hex(16)}.partial"
        self._stream = self._path.open("wb")

    def process(self, numbered: tuple[int, Any]) -> None:
        """Write the results of one item; a failed bundle is repeated by the runner."""
        index, item = numbered
        write_results(self._stream, index, list(self._task(item)))

    def finish_bundle(self) -> None:
        """Close the file, which counts from now on."""
        self._stream.close()
        finish(self._path)
