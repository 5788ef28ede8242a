"""Train a model of any kind, from the start or from where a run stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

import tensorflow as tf
from tensorflow import keras

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.training.averaging import WeightAverages
from melanoma_tf.training.epochs import Epochs
from melanoma_tf.training.fit_settings import FitSettings
from melanoma_tf.training.run import Run
from melanoma_tf.training.state import RunState


def fit(
    build: Callable[[], keras.Model],
    compile_model: Callable[[keras.Model], keras.Model],
    *,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset | None,
    strategy: tf.distribute.Strategy,
    settings: FitSettings,
    run: Run,
    examples_per_step: int,
    measures: Sequence[keras.callbacks.Callback] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    finish: Callable[[Path], object] | None = None,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train a model, from the start or from the last finished epoch of a run to resume.

    Args:
        build: makes the model; called under the strategy, and once more at the end.
        compile_model: gives it losses, optimisers and metrics.
        training: endless batches, given how many examples were trained on already.
        validation: batches, seen whole after every epoch.
        strategy: see `make_strategy`.
        settings: see `FitSettings`.
        run: the folder, which is touched only once the model could be built.
        examples_per_step: the global batch size.
        measures: callbacks that add to an epoch's logs before it is judged by them and kept.
        callbacks: called after those that keep the state.
        finish: see `Run.publish`.
        log: takes one line per epoch.

    Returns: the history: for each metric its value by epoch.

    Raises:
        MelanomaError: see `Run.check`; unequal shares of a batch; or the loss is not finite.
    """
    _check_equal_shares(examples_per_step, strategy)
    run.check()
    keras.utils.set_random_seed(settings.seed)
    with _precision(settings.mixed_precision), strategy.scope():
        model = compile_model(build())
        run.begin()
        state, averages = _state(model, run, settings)
        keepers = [averages, *measures, Epochs(state, log, examples_per_step)]
        first_epoch = state.restore()
        if first_epoch < settings.epochs and not state.out_of_patience():
            with _damage_named():
                model.fit(
                    training(first_epoch * settings.steps_per_epoch * examples_per_step),
                    validation_data=validation,
                    initial_epoch=first_epoch,
                    epochs=settings.epochs,
                    steps_per_epoch=settings.steps_per_epoch,
                    callbacks=[*keepers, _tensorboard(run.working), *callbacks],
                    verbose=0,
                )
    with _precision(settings.mixed_precision):
        state.publish_best(build)
    run.publish(finish)
    return state.history


def _state(model: keras.Model, run: Run, settings: FitSettings) -> tuple[RunState, WeightAverages]:
    averages = WeightAverages(model, settings.average_momentum)
    return RunState(model, run.working, settings, averages), averages


def _check_equal_shares(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Where shares differ, images of the smaller ones would weigh more in the loss."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise MelanomaError(
            f"expected a batch size that {replicas} replicas can share equally; found {batch_size}"
        )


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    """Turn TensorFlow's word for a damaged record into one line that says what to do."""
    try:
        yield
    except tf.errors.DataLossError as error:
        raise MelanomaError(
            "expected whole records, found a damaged one; verify-records names its shard"
        ) from error


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


def _tensorboard(run_dir: Path) -> keras.callbacks.Callback:
    return keras.callbacks.TensorBoard(run_dir / "logs", write_graph=False, profile_batch=0)
