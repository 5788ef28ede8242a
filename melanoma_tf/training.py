"""One `fit` for every model: strategy, checkpoints, resume, TensorBoard, the run folder.

runs/NAME/config.json     the resolved settings
          logs/           TensorBoard
          checkpoints/    the state after the last finished epoch, and the best weights
          history.json    metrics by epoch
          model.keras     appears when training has finished: the best epoch's weights
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras

from melanoma_tf.errors import MelanomaError
from melanoma_tf.files import read_json, refuse_existing, write_json
from melanoma_tf.models.averaging import WeightAverages

STRATEGIES = ("single", "mirrored")
CONFIG, HISTORY, MODEL = "config.json", "history.json", "model.keras"
_BEST = "best.weights.h5"


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained.

    Attributes:
        epochs: passes over the training examples, in all.
        steps_per_epoch: batches in an epoch.
        mixed_precision: compute in float16 (on a CPU in bfloat16), keep variables in float32.
        monitor: the history's key by which the best epoch is chosen.
        mode: `max` or `min` of `monitor` is best.
        seed: of the weights and of dropout.
        average_momentum: share of the old value that a moving average of the weights keeps at
            each step; validation, the best epoch and the published model then use the average.
            0 for none.
    """

    epochs: int
    steps_per_epoch: int
    mixed_precision: bool = False
    monitor: str = "val_auc"
    mode: str = "max"
    seed: int = 0
    average_momentum: float = 0.0


def make_strategy(name: str, replicas: int = 0) -> tf.distribute.Strategy:
    """The distribution strategy of that name. Make it before anything else uses TensorFlow.

    Args:
        name: `single` device, or `mirrored` over all visible GPUs.
        replicas: number of devices to mirror on; 0 takes all GPUs. Without a GPU the CPU is split
            into that many logical devices, which is possible only before TensorFlow has used it.

    Raises:
        MelanomaError: unknown name, more replicas than GPUs, or the CPU can no longer be split.
    """
    if name not in STRATEGIES:
        raise MelanomaError(f"expected a strategy out of {', '.join(STRATEGIES)}; found {name}")
    if name == "single":
        if replicas > 1:
            raise MelanomaError(
                f"expected --strategy mirrored for {replicas} replicas; found single"
            )
        return tf.distribute.get_strategy()
    gpus = tf.config.list_logical_devices("GPU") if tf.config.list_physical_devices("GPU") else []
    if gpus:
        if replicas > len(gpus):
            raise MelanomaError(
                f"expected at most {len(gpus)} replicas, one a GPU; found {replicas}"
            )
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus[: replicas or None]])
    _split_cpu(max(1, replicas))
    devices = tf.config.list_logical_devices("CPU")[: max(1, replicas)]
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _split_cpu(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    pieces = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    with contextlib.suppress(RuntimeError):  # In use already; whether it has enough is checked.
        tf.config.set_logical_device_configuration(cpu, pieces)
    found = len(tf.config.list_logical_devices("CPU"))
    if found < count:
        raise MelanomaError(
            f"expected {count} logical CPU devices; TensorFlow already runs on {found}"
        )


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
        else, there is nothing to resume, or the run to resume has other settings (all but
        `epochs` must agree).
        """
        if not self.resume:
            started_only = (self.folder / CONFIG).is_file() and not (self.folder / HISTORY).exists()
            refuse_existing(self.folder, self.overwrite or started_only)
            return
        if not (self.folder / CONFIG).is_file():
            raise MelanomaError(f"--resume expected a run in {self.folder}; it has no {CONFIG}")
        _require_same_settings(read_json(self.folder / CONFIG), self.config, self.folder)

    def begin(self) -> None:
        """Make the folder, emptied unless the run is resumed, and write `config.json`."""
        self.check()
        if not self.resume and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / CONFIG, self.config)


def _require_same_settings(
    earlier: dict[str, Any], now: dict[str, Any], run_dir: Path, prefix: str = ""
) -> None:
    for key in sorted(set(earlier) | set(now)):
        before, after = earlier.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            _require_same_settings(before, after, run_dir, f"{prefix}{key}.")
        elif before != after and key not in ("epochs", "versions"):
            raise MelanomaError(
                f"--resume expected the settings of {run_dir}: {prefix}{key} was {before!r}, "
                f"is {after!r} now"
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


def fit(
    build: Callable[[], keras.Model],
    compile_model: Callable[[keras.Model], keras.Model],
    *,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset | None,
    strategy: tf.distribute.Strategy,
    settings: TrainingSettings,
    run: Run,
    examples_per_step: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train a model, from the start or from the last finished epoch of a run to resume.

    Args:
        build: makes the model; called under the strategy, and once more without it at the end.
        compile_model: gives it losses, optimisers and metrics; called under the strategy.
        training: endless batches, given how many examples were trained on already.
        validation: batches, seen whole after every epoch.
        strategy: see `make_strategy`.
        settings: see `TrainingSettings`.
        run: the folder, which is touched only once the model could be built.
        examples_per_step: the global batch size.
        callbacks: further ones, called after those that keep the state.
        report: takes one line per epoch.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: the run cannot be begun, see `Run.check`; or the loss is not finite, and
            the state of the epoch before stays.
    """
    run.check()
    keras.utils.set_random_seed(settings.seed)
    with _precision(settings.mixed_precision), strategy.scope():
        model = compile_model(build())
        run.begin()
        averages = WeightAverages(model, settings.average_momentum)
        state = _RunState(model, run.folder, settings, averages)
        keepers = [averages, _Epochs(state, report, examples_per_step), _tensorboard(run.folder)]
        first_epoch = state.restore()
        if first_epoch < settings.epochs:
            done = first_epoch * settings.steps_per_epoch * examples_per_step
            with _damage_named():
                model.fit(
                    training(done),
                    validation_data=validation,
                    initial_epoch=first_epoch,
                    epochs=settings.epochs,
                    steps_per_epoch=settings.steps_per_epoch,
                    callbacks=[*keepers, *callbacks],
                    verbose=0,
                )
    with _precision(settings.mixed_precision):
        state.publish_best(build)
    return state.history


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


class _RunState:
    """What a run must remember to go on: variables, finished epochs, history, best weights."""

    def __init__(
        self,
        model: keras.Model,
        run_dir: Path,
        settings: TrainingSettings,
        averages: WeightAverages,
    ):
        self._model, self._run_dir, self._settings = model, run_dir, settings
        self.seed = settings.seed
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="finished_epochs")
        self._checkpoint = tf.train.Checkpoint(
            model=model, epoch=self._epoch, averages=averages.variables
        )
        folder = run_dir / "checkpoints"
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._best_path = folder / _BEST
        self.history: dict[str, list[float]] = {}

    def restore(self) -> int:
        """Load the last checkpoint, if there is one; return the number of finished epochs."""
        latest = self._manager.latest_checkpoint
        if latest is None:
            return 0
        # Partial: an optimiser that has nothing more to do never makes its variables.
        self._checkpoint.restore(latest).expect_partial()
        epoch = int(self._epoch.numpy())
        history = read_json(self._run_dir / HISTORY)
        self.history = {name: values[:epoch] for name, values in history.items()}
        return epoch

    def finish_epoch(self, logs: dict[str, float]) -> bool:
        """Keep an epoch; return whether it is the best so far. The checkpoint comes last."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        best = self._is_best()
        if best:
            self._replace(self._best_path, self._model.save_weights)
        write_json(self._run_dir / HISTORY, self.history)
        self._epoch.assign_add(1)
        self._manager.save()
        return best

    def publish_best(self, build: Callable[[], keras.Model]) -> None:
        """Write `model.keras` with the best epoch's weights, from a model of no strategy."""
        model = build()
        model.load_weights(self._best_path)
        self._replace(self._run_dir / MODEL, model.save)

    def _is_best(self) -> bool:
        values = self.history.get(self._settings.monitor)
        if not values:  # No validation: the last epoch is what there is.
            return True
        sign = 1 if self._settings.mode == "max" else -1
        return all(sign * values[-1] > sign * value for value in values[:-1])

    def _replace(self, path: Path, save: Callable[[str], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"partial.{path.name}")
        save(str(temporary))
        temporary.replace(path)


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Let the random layers of an epoch depend on its number, not on how training got there.

    Layers made with `force_generator=True` have a generator of their own, which no checkpoint
    holds: a resumed training would otherwise drop other features than one without the break.
    """
    for index, layer in enumerate(model._flatten_layers(include_self=False)):
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            draw = np.random.SeedSequence([seed, epoch, index]).generate_state(1)
            generator.reset_from_seed(int(draw[0]))


class _Epochs(keras.callbacks.Callback):
    """Adds speed and learning rate to the logs, reports a line, and keeps the state."""

    def __init__(self, state: _RunState, report: Callable[[str], None], examples_per_step: int):
        super().__init__()
        self._state, self._report, self._examples = state, report, examples_per_step
        self._started = self._trained = 0.0
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        _reseed(self.model, self._state.seed, epoch)
        self._started, self._steps = time.perf_counter(), 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._steps += 1
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        if not math.isfinite(logs["loss"]):
            raise MelanomaError(
                f"the loss is {logs['loss']} in epoch {epoch + 1}; expected a finite one. "
                "The state of the epoch before is kept: lower --learning-rate"
            )
        # Into the shared logs, so that TensorBoard, whose turn comes next, draws them as well.
        logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        logs["images_per_second"] = self._steps * self._examples / (self._trained - self._started)
        best = self._state.finish_epoch(logs)
        line = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        self._report(
            f"epoch {epoch + 1}/{self.params['epochs']}  {line}{'  (best)' if best else ''}"
        )
