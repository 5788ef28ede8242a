"""Carry out a training, from the start or from where a run stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.averaging import WeightAverages
from melanoma_tf.training.epochs import Epochs
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.run import Run
from melanoma_tf.training.state import RunState


def fit(
    job: TrainingJob, run: Run, strategy: tf.distribute.Strategy, log: Callable[[str], None]
) -> dict[str, list[float]]:
    """Train a network, from the start or from the last finished epoch of a run to resume.

    Args:
        job: what is trained.
        run: the folder, which is touched only once the network could be built.
        strategy: see `make_strategy`.
        log: takes one line per epoch.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: see `Run.check`; the replicas cannot share a batch equally; or the loss is
            not finite, and the state of the epoch before stays.
    """
    settings = job.record.settings
    _check_equal_shares(settings.batch_size, strategy)
    run.check()
    keras.utils.set_random_seed(settings.seed)
    with run.alone():
        with _precision(settings.mixed_precision), strategy.scope():
            model = job.compile(job.build())
            run.begin()
            averages = WeightAverages(model, settings.average_momentum)
            state = RunState(model, run.working, job, averages)
            with state.open():
                _train_epochs(model, state, averages, job, run.working, log)
        with _precision(settings.mixed_precision):
            state.publish_best(job.kind.network(job.record))
        run.publish(job.finish)
    return state.history


def _train_epochs(
    model: keras.Model,
    state: RunState,
    averages: WeightAverages,
    job: TrainingJob,
    run_dir: Path,
    log: Callable[[str], None],
) -> None:
    """Train from the last finished epoch to the last one that is wanted."""
    settings = job.record.settings
    first_epoch = state.restore(log)
    if first_epoch >= settings.epochs or state.out_of_patience():
        return
    model.fit(
        job.training_batches(first_epoch * job.steps_per_epoch * settings.batch_size),
        validation_data=job.validation_batches,
        initial_epoch=first_epoch,
        epochs=settings.epochs,
        steps_per_epoch=job.steps_per_epoch,
        callbacks=_callbacks(job, run_dir, averages, state, log),
        verbose=0,
    )


def _callbacks(
    job: TrainingJob,
    run_dir: Path,
    averages: WeightAverages,
    state: RunState,
    log: Callable[[str], None],
) -> list[keras.callbacks.Callback]:
    """In this order: what is measured, what is kept, what is drawn."""
    epochs = Epochs(state, log, job.record.settings.batch_size)
    board = keras.callbacks.TensorBoard(run_dir / "logs", write_graph=False, profile_batch=0)
    return [averages, *job.measures(run_dir), epochs, board, *job.previews(run_dir)]


def _check_equal_shares(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Refuse unequal shares: images of the smaller ones would weigh more in the loss."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise MelanomaError(
            f"expected a batch size that {replicas} replicas can share equally; found {batch_size}"
        )


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
