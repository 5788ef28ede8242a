"""The run folder: begun, resumed, read."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow import keras

from melanoma_tf.errors import MelanomaError
from melanoma_tf.files import read_json, refuse_existing, write_json

CONFIG, HISTORY, MODEL = "config.json", "history.json", "model.keras"


@dataclass(frozen=True)
class Run:
    """A run folder, and what may be done with one that is there.

    Attributes:
        folder: `runs/NAME`.
        config: the resolved settings, for `config.json`; JSON values only.
        resume: go on with the run in the folder.
        overwrite: replace it.
    """

    folder: Path
    config: dict[str, Any]
    resume: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Raise `MelanomaError` where the run cannot be begun; nothing is written.

        That is: the folder has a finished epoch (without `resume` or `overwrite`) or something
        else, there is nothing to resume, or the run to resume has other settings (all must agree,
        `epochs` only where the learning rate or the phases of a training depend on them) or has
        been trained for more epochs already.
        """
        if not self.resume:
            started_only = (self.folder / CONFIG).is_file() and not (self.folder / HISTORY).exists()
            unfinished = (self.folder / HISTORY).exists() and not (self.folder / MODEL).exists()
            if unfinished and not self.overwrite:
                raise MelanomaError(
                    f"{self.folder} holds a run that has not finished; expected --resume to go on "
                    "with it, or --overwrite to replace it"
                )
            refuse_existing(self.folder, self.overwrite or started_only)
            return
        if not (self.folder / CONFIG).is_file():
            raise MelanomaError(f"--resume expected a run in {self.folder}; it has no {CONFIG}")
        # As it would be read back: JSON knows no tuples.
        now = json.loads(json.dumps(self.config))
        free = ("versions",) if _planned_by_epochs(now) else ("versions", "epochs")
        _require_same_settings(read_json(self.folder / CONFIG), now, self.folder, free)
        _require_epochs(self.folder, now.get("epochs"))

    def begin(self) -> None:
        """Make the folder, emptied unless the run is resumed, and write `config.json`."""
        self.check()
        if not self.resume and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / CONFIG, self.config)


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
