"""Carry out a training, from the start or from where a run stopped."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.averaging import WeightAverages
from melanoma_tf.training.compilation import check_compilable, compilation_errors_named
from melanoma_tf.training.distribution import (
    check_equal_shares,
    training_batches,
    validation,
)
from melanoma_tf.training.epochs import Epochs
from melanoma_tf.training.input_wait import InputWait
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.run import Run
from melanoma_tf.training.state import RunState
from melanoma_tf.training.strategy import Devices, agreed
from melanoma_tf.training.watchdog import Watchdog

_PROFILED_STEPS = (4, 8)  # The first and the last, counted from 1.


@dataclass(frozen=True)
class Session:
    """The circumstances of a training in this process.

    Attributes:
        devices: see `choose_devices`.
        watchdog: told of every step.
        log: takes one line per epoch.
        profile: write a profile of some steps for TensorBoard, and measure the wait for input.
    """

    devices: Devices
    watchdog: Watchdog
    log: Callable[[str], None]
    profile: bool = False


def fit(job: TrainingJob, run: Run, session: Session) -> dict[str, list[float]]:
    """Train a network, from the start or from the last finished epoch of a run to resume.

    Args:
        job: what is trained.
        run: the folder, which is touched only once the network could be built.
        session: devices, and what is told of the training.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: see `Run.check`; the replicas cannot share a batch equally; XLA cannot
            compile the steps; or the loss is not finite, and the state of the epoch before stays.
    """
    settings, devices = job.record.settings, session.devices
    check_equal_shares(settings.batch_size, max(1, settings.input_parts), devices.strategy)
    check_compilable(settings.jit_compile, devices.strategy)
    if not devices.workers.is_chief:
        return _fit_beside_the_chief(job, run, session)
    run.check()
    with run.alone():
        with _precision(settings.mixed_precision), devices.strategy.scope():
            model = _built(job)
            run.begin()
            session.log(devices.words)
            averages = WeightAverages(model, settings.average_momentum)
            state = RunState(model, run.working, job, averages)
            _train(model, state, averages, job, run.working, session)
        session.watchdog.stop()  # The others have done their part.
        with _precision(settings.mixed_precision):
            state.publish_best(job.kind.network(job.record))
        run.publish(job.finish)
    return state.history


def _fit_beside_the_chief(job: TrainingJob, run: Run, session: Session) -> dict[str, list[float]]:
    """Take every step that the chief takes, also those that write: they read variables of all."""
    settings = job.record.settings
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        folder.mkdir()
        with _precision(settings.mixed_precision), session.devices.strategy.scope():
            model = _built(job)
            averages = WeightAverages(model, settings.average_momentum)
            state = RunState(model, folder, job, averages, run.working)
            _train(model, state, averages, job, folder, session)
    return state.history


def _built(job: TrainingJob) -> keras.Model:
    settings = job.record.settings
    keras.utils.set_random_seed(settings.seed)
    model = job.compile(job.build())
    model.jit_compile = settings.jit_compile
    return model


def _train(
    model: keras.Model,
    state: RunState,
    averages: WeightAverages,
    job: TrainingJob,
    run_dir: Path,
    session: Session,
) -> None:
    """Train from the last finished epoch to the last one that is wanted."""
    settings, devices = job.record.settings, session.devices
    several = devices.workers.count > 1
    if several:
        agreed(devices.strategy, 1)  # The chief has begun the run folder.
    with state.open(), compilation_errors_named(model):
        first_epoch = state.restore(session.log)
        if several:
            _require_same_epoch(first_epoch, devices, run_dir)
        if first_epoch < settings.epochs and not state.out_of_patience():
            validated = validation(job, devices)
            session.watchdog.progress()
            wait = InputWait(session.log) if session.profile else None
            model.fit(
                training_batches(
                    job, devices, first_epoch * job.steps_per_epoch, wait.watch if wait else None
                ),
                validation_data=validated.batches,
                validation_steps=validated.steps,
                initial_epoch=first_epoch,
                epochs=settings.epochs,
                steps_per_epoch=job.steps_per_epoch,
                callbacks=[
                    session.watchdog,
                    *([wait] if wait else []),
                    *_callbacks(job, run_dir, averages, state, session, first_epoch),
                ],
                verbose=0,
            )
        if several:
            agreed(devices.strategy, 1)  # No worker leaves before the last checkpoint is written.


def _require_same_epoch(epoch: int, devices: Devices, run_dir: Path) -> None:
    of_chief = agreed(devices.strategy, epoch)
    if epoch != of_chief:
        raise MelanomaError(
            f"expected the checkpoint of epoch {of_chief}, from which the chief goes on; found "
            f"that of epoch {epoch}. All workers must see the same run folder"
        )


def _callbacks(
    job: TrainingJob,
    run_dir: Path,
    averages: WeightAverages,
    state: RunState,
    session: Session,
    first_epoch: int,
) -> list[keras.callbacks.Callback]:
    """In this order: what is measured, what is kept, what is drawn."""
    settings = job.record.settings
    epochs = Epochs(state, session.log, settings.batch_size, session.devices.workers.index)
    steps = (settings.epochs - first_epoch) * job.steps_per_epoch
    # Beyond the first steps, which trace functions and fill buffers, where there are as many.
    begin, end = min(_PROFILED_STEPS[0], steps), min(_PROFILED_STEPS[1], steps)
    board = keras.callbacks.TensorBoard(
        run_dir / "logs", write_graph=False, profile_batch=(begin, end) if session.profile else 0
    )
    return [averages, *job.measures(run_dir), epochs, board, *job.previews(run_dir)]


@contextlib.contextmanager
def _precision(mixed: bool) -> Iterator[None]:
    before = keras.mixed_precision.global_policy()
    # CPUs compute in bfloat16 where they have instructions for it, and in float16 hardly ever.
    half = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    keras.mixed_precision.set_global_policy(half if mixed else "float32")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
