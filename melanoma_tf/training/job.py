"""The description of a training, for `training.train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TypedDict

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.records.parts import Part
from melanoma_tf.training.run_record import RunKind, RunRecord

Log = Callable[[str], None]
History = dict[str, list[float]]
# Callbacks of a run, given its folder.
Callbacks = Callable[[Path], Sequence[keras.callbacks.Callback]]


class RunOptions(TypedDict, total=False):
    """Keyword arguments of a training about its run.

    Attributes:
        resume: go on with the run in the folder, after its last finished epoch.
        resume_if_begun: as `resume` where the folder holds a run, else begin one: for a scheduler
            that starts a training again.
        overwrite: replace a run that exists, once the new one has finished.
        profile: write a profile for TensorBoard, and say which fraction of a step waits for input.
        log: takes one line per epoch, and warnings.
    """

    resume: bool
    resume_if_begun: bool
    overwrite: bool
    profile: bool
    log: Log


def _no_callbacks(run_dir: Path) -> Sequence[keras.callbacks.Callback]:
    return ()


@dataclass(frozen=True)
class TrainingJob:
    """Everything that `train` must know of a network.

    Attributes:
        record: what `config.json` says: kind, resolved settings, records.
        kind: what is trained; builds the network once more at the end, for its best weights.
        build: makes the network with its initial weights; called under the strategy.
        compile: gives it losses, optimisers and metrics; called under the strategy.
        steps_per_epoch: batches in an epoch.
        training_batches: endless batches of a part of the input, given how many of its examples
            were trained on already; a batch has the part's share of the batch size.
        validation_batches: seen whole after every epoch; None where there is no validation split.
        monitor: the key of the history by which the best epoch is chosen.
        mode: `max` or `min` of `monitor` is best.
        measures: callbacks that add to the logs of an epoch before it is judged.
        previews: callbacks that draw into TensorBoard after every epoch.
        finish: called with the folder of the trained run, before it is published.
        inputs: files and folders that are read besides the records, which the run must not replace.
    """

    record: RunRecord[Any]
    kind: RunKind[Any]
    build: Callable[[], keras.Model]
    compile: Callable[[keras.Model], keras.Model]
    steps_per_epoch: int
    training_batches: Callable[[int, Part], tf.data.Dataset]
    validation_batches: tf.data.Dataset | None
    monitor: str
    mode: str = "max"
    measures: Callbacks = _no_callbacks
    previews: Callbacks = _no_callbacks
    finish: Callable[[Path], object] | None = None
    inputs: tuple[Path, ...] = ()
