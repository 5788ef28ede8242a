"""Digests of the files that an experiment reads, remembered by size and time of change."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json

_BLOCK_BYTES = 1 << 20


class InputFiles:
    """SHA-256 of files and folders.

    A file whose size and time of change are those of the last run is not read again.

    Args:
        memory: JSON file with the digests of the last run; it may be absent.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        if memory.exists():
            payload = read_json(memory)
            if not isinstance(payload, dict):
                raise MelanomaError(f"{memory}: expected an object; remove the file")
            self._known = payload
        self._seen: dict[str, list[Any]] = {}

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, or of the names and contents below a folder.

        The folder's own place does not count, so that a data set may move.

        Raises:
            MelanomaError: the path does not exist.
        """
        if path.is_file():
            return self._file(path)
        if not path.is_dir():
            raise MelanomaError(f"expected an input at {path}; it does not exist")
        total = hashlib.sha256()
        for each in sorted(path.rglob("*")):
            if each.is_file():
                total.update(f"{each.relative_to(path).as_posix()}\0{self._file(each)}\n".encode())
        return total.hexdigest()

    def remember(self) -> None:
        """Write the digests for the next run."""
        if self._seen and self._seen != self._known:
            write_json(self._memory, self._seen)
            self._known = dict(self._seen)

    def _file(self, path: Path) -> str:
        state = path.stat()
        name = str(path.resolve())
        row = self._known.get(name)
        if not isinstance(row, list) or row[:2] != [state.st_size, state.st_mtime_ns]:
            digest = hashlib.sha256()
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
            row = [state.st_size, state.st_mtime_ns, digest.hexdigest()]
        self._seen[name] = row
        return str(row[2])
