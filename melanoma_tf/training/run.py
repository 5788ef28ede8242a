"""The run folder: begun, resumed, read."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from tensorflow import keras

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.core.outputs import refuse_existing, replace_folder
from melanoma_tf.core.ownership import mark, refuse_inputs

CONFIG, HISTORY, MODEL = "config.json", "history.json", "model.keras"


# What this tool may write into a run folder; nothing else in it is ever removed.
_CONTENTS = (
    "*.json",
    "model.keras",
    "predictions.csv",
    "report.html",
    "checkpoints/*",
    "logs/*",
)


@dataclass(frozen=True)
class Run:
    """A run folder, and what may be done with one that is there.

    Attributes:
        folder: `runs/NAME`.
        config: the resolved settings, for `config.json`; JSON values only.
        resume: go on with the run in the folder; with `overwrite`, with the unfinished
            replacement beside it where there is one.
        overwrite: replace it. The new run is made in `NAME.new` and takes the old one's place when
            it has finished.
        inputs: what the training reads: the run folder may not be, hold or lie in any of them.
        epochs_are_free: a run may be resumed for another number of epochs; None decides by the
            names of the settings in `config`.
    """

    folder: Path
    config: dict[str, Any]
    resume: bool = False
    overwrite: bool = False
    inputs: tuple[Path, ...] = ()
    epochs_are_free: bool | None = None

    @functools.cached_property
    def working(self) -> Path:
        """The folder in which the run is made: `folder`, or `NAME.new` beside it."""
        aside = replacement_of(self.folder)
        replaces = aside.exists() if self.resume else (self.folder / HISTORY).exists()
        return aside if self.overwrite and replaces else self.folder

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
        started_only = (self.folder / CONFIG).is_file() and not (self.folder / HISTORY).exists()
        unfinished = (self.folder / HISTORY).exists() and not (self.folder / MODEL).exists()
        if unfinished and not self.overwrite:
            raise MelanomaError(
                f"{self.folder} holds a run that has not finished; expected --resume to go on "
                "with it, or --overwrite to replace it"
            )
        refuse_existing(self.folder, self.overwrite or started_only)
        refuse_existing(self.working, True)

    def begin(self) -> None:
        """Make the working folder, emptied unless the run is resumed, and write `config.json`."""
        self.check()
        if not self.resume and self.working.exists():
            shutil.rmtree(self.working)
        self.working.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            mark(self.working, _CONTENTS)
        write_json(self.working / CONFIG, self.config)

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
        # As it would be read back: JSON knows no tuples.
        now = json.loads(json.dumps(self.config))
        epochs_are_free = self.epochs_are_free
        if epochs_are_free is None:
            epochs_are_free = not _planned_by_epochs(now)
        free = ("versions", "epochs") if epochs_are_free else ("versions",)
        _require_same_settings(read_json(folder / CONFIG), now, folder, free)
        _require_epochs(folder, now.get("settings", now).get("epochs"))


def replacement_of(run_dir: Path) -> Path:
    """Where the run that is to replace a finished one is made."""
    return run_dir.with_name(f"{run_dir.name}.new")


def _require_same_settings(
    earlier: dict[str, Any],
    now: dict[str, Any],
    run_dir: Path,
    free: tuple[str, ...],
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


def _planned_by_epochs(config: dict[str, Any]) -> bool:
    """Whether another number of epochs would have made the finished ones different."""
    schedules = (config.get("schedule"), config.get("fitting", {}).get("schedule"))
    return "cosine" in schedules or bool(config.get("frozen_epochs"))


def _require_epochs(run_dir: Path, epochs: int | None) -> None:
    """An epoch that was trained cannot be taken back; `config.json` must not deny it."""
    if epochs is None or not (run_dir / HISTORY).is_file():
        return
    finished = max((len(values) for values in read_json(run_dir / HISTORY).values()), default=0)
    if finished > epochs:
        raise MelanomaError(
            f"--resume expected at least the {finished} epochs that {run_dir} was trained for; "
            f"found {epochs}"
        )


def run_kind(run_dir: Path) -> str:
    """What a run trains, as `classifier`.

    Raises:
        MelanomaError: there is no run.
    """
    if not (Path(run_dir) / CONFIG).is_file():
        raise MelanomaError(f"expected a run folder at {run_dir}; found no {CONFIG} there")
    return str(read_json(Path(run_dir) / CONFIG).get("kind"))


def read_config(run_dir: Path, kind: str) -> dict[str, Any]:
    """The settings of a finished run.

    Raises:
        MelanomaError: there is no run, it trains another kind of model, or it has not finished.
    """
    if run_kind(run_dir) != kind:
        raise MelanomaError(f"{run_dir}: expected a {kind} run, found {run_kind(run_dir)}")
    config = read_json(Path(run_dir) / CONFIG)
    if not (Path(run_dir) / MODEL).is_file():
        raise MelanomaError(f"{run_dir}: training has not finished; continue it with --resume")
    return config


def load_model(run_dir: Path) -> keras.Model:
    """The trained model of a finished run."""
    return keras.models.load_model(Path(run_dir) / MODEL, compile=False)
