"""The run folder: begun, resumed, replaced."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json, remove_partial, resolved, write_checked_json
from melanoma_tf.core.keras import keras
from melanoma_tf.core.locks import locked
from melanoma_tf.core.outputs import refuse_existing, replace_folder
from melanoma_tf.core.ownership import is_marked, mark, refuse_inputs
from melanoma_tf.training.run_record import (
    CONFIG,
    WEIGHTS,
    RunKind,
    RunRecord,
    parsed_record,
    read_run,
    run_payload,
    weights_file,
)
from melanoma_tf.training.weights import read_weights

HISTORY = "history.json"


# What this tool may write into a run folder; nothing else in it is ever removed.
_CONTENTS = (
    "*.json",
    WEIGHTS,
    "model.keras",  # Of earlier versions.
    "predictions.csv",
    "report.html",
    "checkpoints/*",
    "logs/*",
)
# What may differ when a run is resumed: it changes results by rounding, or what dropout draws.
_FREE = frozenset(
    {"versions", "assumed", "strategy", "replicas", "worker_timeout_s", "jit_compile"}
)


@dataclass(frozen=True)
class Run:
    """A run folder, and what may be done with one that is there.

    Attributes:
        folder: `runs/NAME`.
        record: for `config.json`.
        resume: go on with the run in the folder; with `overwrite`, with the unfinished
            replacement next to it, if one exists.
        overwrite: replace it. The new run is made in `NAME.new` and takes the old one's place when
            it has finished.
        inputs: what the training reads: the run folder may not be, hold or lie in any of them.
    """

    folder: Path
    record: RunRecord[Any]
    resume: bool = False
    overwrite: bool = False
    inputs: tuple[Path, ...] = ()

    @functools.cached_property
    def working(self) -> Path:
        """The folder in which the run is made, see `working_folder`."""
        return working_folder(self.folder, self.resume, self.overwrite)

    def check(self) -> None:
        """Raise `MelanomaError` where the run cannot be begun; nothing is written.

        That is: the folder has a finished epoch (without `resume` or `overwrite`) or something
        else, there is nothing to resume, or the run to resume has other settings (all must agree,
        `epochs` only where the learning rate or the phases of a training depend on them) or has
        been trained for more epochs already.
        """
        refuse_inputs(self.folder, self.inputs)
        if self.resume:
            self._check_resumable()
            return
        begun = (self.folder / CONFIG).is_file() or is_marked(self.folder)
        started_only = begun and not (self.folder / HISTORY).exists()
        finished = weights_file(self.folder).exists()
        unfinished = (self.folder / HISTORY).exists() and not finished
        if unfinished and not self.overwrite:
            raise MelanomaError(
                f"{self.folder} holds a run that has not finished; expected --resume to go on "
                "with it, or --overwrite to replace it"
            )
        refuse_existing(self.folder, self.overwrite or started_only)
        refuse_existing(self.working, True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the run folder; another training of it is refused meanwhile."""
        folder = resolved(self.folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            yield

    def begin(self) -> None:
        """Make the working folder, emptied unless the run is resumed, and write `config.json`."""
        self.check()
        if not self.resume and self.working.exists():
            shutil.rmtree(self.working)
        self.working.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG, HISTORY, WEIGHTS):
            remove_partial(self.working / name)
        if not self.resume:
            mark(self.working, _CONTENTS)
        write_checked_json(self.working / CONFIG, self.record.to_json())

    def publish(self, finish: Callable[[Path], object] | None = None) -> None:
        """Put a finished replacement in the place of the run that it replaces.

        Args:
            finish: called with the folder of the trained run first.
        """
        if finish is not None:
            finish(self.working)
        if self.working != self.folder:
            replace_folder(self.working, self.folder)

    def _check_resumable(self) -> None:
        aside = replacement_of(self.folder)
        if aside.exists() and not self.overwrite:
            raise MelanomaError(
                f"{aside} holds an unfinished replacement of {self.folder}; expected --resume "
                "--overwrite to go on with it, or its removal to go on with the run itself"
            )
        folder = self.working
        if not (folder / CONFIG).is_file():
            raise MelanomaError(f"--resume expected a run in {folder}; it has no {CONFIG}")
        settings = self.record.settings
        earlier = parsed_record(run_payload(folder), type(settings), str(folder / CONFIG))
        free = _FREE | (set() if settings.depends_on_epochs else {"epochs"})
        # As they would be read back: JSON knows no tuples.
        before, now = (json.loads(json.dumps(each.to_json())) for each in (earlier, self.record))
        _require_same_settings(before, now, folder, free)
        _require_epochs(folder, settings.epochs)


def read_history(run_dir: Path) -> dict[str, list[float]]:
    """The metrics of a run by epoch; empty before its first.

    Raises:
        MelanomaError: the file is damaged.
    """
    path = run_dir / HISTORY
    if not path.is_file():
        return {}
    history = read_checked_json(path)
    if not isinstance(history, dict) or not all(map(_are_numbers, history.values())):
        raise MelanomaError(f"{path}: expected lists of numbers by metric; found other JSON")
    return history


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(each, (int, float)) and not isinstance(each, bool) for each in values
    )


def working_folder(folder: Path, resume: bool, overwrite: bool) -> Path:
    """The folder in which a run is made: its own, or `NAME.new` next to it.

    Args:
        folder: `runs/NAME`.
        resume: see `Run`.
        overwrite: see `Run`.
    """
    aside = replacement_of(folder)
    replaces = aside.exists() if resume else (folder / HISTORY).exists()
    return aside if overwrite and replaces else folder


def replacement_of(run_dir: Path) -> Path:
    """The folder of the run that is to replace a finished one."""
    return run_dir.with_name(f"{run_dir.name}.new")


def _require_same_settings(
    earlier: dict[str, Any],
    now: dict[str, Any],
    run_dir: Path,
    free: Collection[str],
    prefix: str = "",
) -> None:
    for key in sorted(set(earlier) | set(now)):
        before, after = earlier.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            _require_same_settings(before, after, run_dir, free, f"{prefix}{key}.")
        elif before != after and key not in free:
            raise MelanomaError(
                f"--resume expected the settings of {run_dir}: {prefix}{key} was {before!r}, "
                f"is {after!r} now"
            )


def _require_epochs(run_dir: Path, epochs: int) -> None:
    """An epoch that was trained cannot be taken back; `config.json` must not deny it."""
    finished = max(map(len, read_history(run_dir).values()), default=0)
    if finished > epochs:
        raise MelanomaError(
            f"--resume expected at least the {finished} epochs that {run_dir} was trained for; "
            f"found {epochs}"
        )


def load_model(run_dir: Path, *kinds: RunKind[Any]) -> keras.Model:
    """The trained network of a finished run: built from its settings, with the weights of its file.

    Args:
        run_dir: the run folder.
        kinds: what the run may be.

    Raises:
        MelanomaError: as `run_record.read_run` and `weights.read_weights`.
    """
    record = read_run(run_dir, *kinds)
    kind = next(each for each in kinds if each.name == record.kind)
    network = kind.network(record)
    read_weights(network, weights_file(run_dir))
    return network
