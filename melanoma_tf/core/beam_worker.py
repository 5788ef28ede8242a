"""The part of `beam` that runs on the workers of Apache Beam; importing it needs Beam."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import apache_beam

from melanoma_tf.core.beam import Task, finish, write_result


class WriteResults(apache_beam.DoFn):
    """Writes the results of the items of a bundle into one file.

    Args:
        task: see `beam.map_on_beam`.
        folder: of the files.
        key: of their checksums.
    """

    def __init__(self, task: Task, folder: str, key: bytes) -> None:
        self._task = task
        self._folder = folder
        self._key = key

    def start_bundle(self) -> None:
        """Open the file."""
        # Names of attempts differ: a repeated bundle never writes into the file of another.
        self._path = Path(self._folder) / f"{secrets.token_hex(16)}.partial"
        self._stream = self._path.open("wb")

    def process(self, numbered: tuple[int, Any]) -> None:
        """Write the result of one item; a failed bundle is repeated by the runner."""
        index, item = numbered
        write_result(self._stream, self._key, index, list(self._task(item)))

    def finish_bundle(self) -> None:
        """Close the file, which counts from now on."""
        self._stream.close()
        finish(self._path)
