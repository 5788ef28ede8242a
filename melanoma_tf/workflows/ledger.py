"""`steps.json`: which steps of an experiment were begun and finished in a work folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json

_FORMAT, _VERSION = "melanoma_tf steps", 1


@dataclass(frozen=True)
class Entry:
    """What is known of a step.

    Attributes:
        fingerprint: of the attempt; "" where its output is to be made again.
        output: the folder, relative to the work folder.
        finished: whether the output is whole.
        seconds: time of the attempt that finished.
        attempts: how many there were; more than one where it was interrupted.
    """

    fingerprint: str
    output: str
    finished: bool = False
    seconds: float = 0.0
    attempts: int = 1


class Ledger:
    """The steps of a work folder; every change is written at once.

    Attributes:
        entries: by name of the step.
    """

    FILE = "steps.json"

    def __init__(self, work_dir: Path, experiment: str) -> None:
        self._path = work_dir / self.FILE
        self._experiment = experiment
        self.entries: dict[str, Entry] = {}
        if self._path.exists():
            self.entries = self._read()

    def begin(self, name: str, fingerprint: str, output: str, *, attempts: int = 1) -> None:
        """Note that a step is being made."""
        self._set(name, Entry(fingerprint, output, attempts=attempts))

    def finish(self, name: str, seconds: float) -> None:
        """Note that the output of a step is whole."""
        entry = self.entries[name]
        self._set(name, dataclasses.replace(entry, finished=True, seconds=round(seconds, 3)))

    def forget(self, name: str) -> None:
        """Note that a step is to be made again, even if this run stops before it."""
        entry = self.entries[name]
        self._set(name, dataclasses.replace(entry, fingerprint="", finished=False))

    def _set(self, name: str, entry: Entry) -> None:
        self.entries[name] = entry
        payload = {
            "format": _FORMAT,
            "version": _VERSION,
            "experiment": self._experiment,
            "steps": {each: dataclasses.asdict(value) for each, value in self.entries.items()},
        }
        write_json(self._path, payload)

    def _read(self) -> dict[str, Entry]:
        payload = read_json(self._path)
        if not isinstance(payload, dict) or payload.get("format") != _FORMAT:
            raise self._damaged("another file")
        if payload.get("version") != _VERSION:
            raise self._damaged(f"version {payload.get('version')!r}")
        if payload.get("experiment") != self._experiment:
            raise MelanomaError(
                f"{self._path}: expected the steps of {self._experiment}; found those of "
                f"{payload.get('experiment')!r}: choose another work folder"
            )
        steps = payload.get("steps")
        if not isinstance(steps, dict):
            raise self._damaged(f"steps {steps!r}")
        return {name: self._entry(name, row) for name, row in steps.items()}

    def _entry(self, name: str, row: Any) -> Entry:
        types = {"fingerprint": str, "output": str, "finished": bool, "attempts": int}
        sound = isinstance(row, dict) and all(
            type(row.get(key)) is kind for key, kind in types.items()
        )
        if not sound or not isinstance(row.get("seconds"), (int, float)):
            raise self._damaged(f"the step {name} as {row!r}")
        return Entry(**{each.name: row[each.name] for each in dataclasses.fields(Entry)})

    def _damaged(self, found: str) -> MelanomaError:
        return MelanomaError(
            f"{self._path}: expected the steps that an experiment writes, version {_VERSION}; "
            f"found {found}. Move the file away, and begin again with --from and the first step"
        )
