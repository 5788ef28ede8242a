"""One device against all: the same losses, how much faster, and how much memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from melanoma_tf.backbones.networks import build_backbone
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.strategy import make_strategy
from melanoma_tf.workflows.settings import DeviceCheckSettings

# Of losses, relative: sums over replicas are rounded in another order.
TOLERANCE = 1e-3
_CLASSES = 3
_WARM_UP_STEPS = 2
_BACKBONE = "small"  # Its batch normalisation takes the statistics of the whole batch.


@dataclass(frozen=True)
class Measured:
    """What a number of devices did.

    Attributes:
        devices: their number.
        batch_size: images in a step, over all of them.
        losses: of the first steps.
        images_per_second: of the steps after the first.
        peak_mib: largest memory of any device; of the process, on CPUs.
    """

    devices: int
    batch_size: int
    losses: tuple[float, ...]
    images_per_second: float
    peak_mib: float


@dataclass(frozen=True)
class DeviceCheck:
    """One device against all.

    Attributes:
        kind: `GPU` or `CPU`.
        names: of the devices.
        one: one device with its batch.
        same_batch: all devices on the same batches.
        all_devices: all devices, each with a batch as large as that of the one.
    """

    kind: str
    names: tuple[str, ...]
    one: Measured
    same_batch: Measured
    all_devices: Measured

    @property
    def difference(self) -> float:
        """Largest relative difference of the losses on the same batches."""
        one, same = np.array(self.one.losses), np.array(self.same_batch.losses)
        return float(np.max(np.abs(same - one) / np.abs(one)))

    @property
    def agrees(self) -> bool:
        """Tell whether the losses are equal, but for rounding."""
        return self.difference <= TOLERANCE

    @property
    def scaling(self) -> float:
        """Speed of all devices over that of one, times their number; 1 is the best."""
        ideal = self.all_devices.devices * self.one.images_per_second
        return self.all_devices.images_per_second / ideal


def check_devices(
    settings: DeviceCheckSettings | None = None, log: Callable[[str], None] = print
) -> DeviceCheck:
    """Train a small classifier on one device and on all of them.

    Args:
        settings: of the training. Without GPUs the CPU is split into `replicas` logical devices,
            which is slow, but takes the same path through the code.
        log: takes a line for each training.

    Raises:
        MelanomaError: fewer than two devices, or a batch that they cannot share equally.
    """
    settings = settings or DeviceCheckSettings()
    gpus = tf.config.list_physical_devices("GPU")
    kind = "GPU" if gpus else "CPU"
    count = settings.replicas or (len(gpus) if gpus else 1)
    if count < 2:
        raise MelanomaError(
            f"expected two devices or more to compare; found {count} {kind}. Without GPUs, "
            "--replicas 2 splits the CPU"
        )
    if settings.batch_size % count:
        raise MelanomaError(
            f"expected a batch size that {count} devices can share equally; found "
            f"{settings.batch_size}"
        )
    # All of them first: the CPU can be split only before TensorFlow has used it.
    make_strategy("mirrored", count)
    # TensorFloat-32 rounds more coarsely than the tolerance.
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        measured = []
        for devices, batch_size in (
            (1, settings.batch_size),
            (count, settings.batch_size),
            (count, settings.batch_size * count),
        ):
            log(f"{devices} {kind}{'s' * (devices > 1)}, batches of {batch_size}")
            measured.append(_measure(devices, batch_size, settings, gpus))
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
    names = tuple(device.name for device in tf.config.list_logical_devices(kind)[:count])
    return DeviceCheck(kind, names, *measured)


def _measure(
    devices: int, batch_size: int, settings: DeviceCheckSettings, gpus: Sequence[object]
) -> Measured:
    keras.utils.set_random_seed(settings.seed)
    if gpus:
        for index in range(devices):
            tf.config.experimental.reset_memory_stats(f"GPU:{index}")
    strategy = make_strategy("mirrored", devices)
    with strategy.scope():
        model = _network(settings.image_size_px)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss)
    batches = _batches(batch_size, settings)
    history = model.fit(batches, epochs=settings.compared_steps, steps_per_epoch=1, verbose=0)
    clock = _Clock()
    model.fit(
        batches, steps_per_epoch=_WARM_UP_STEPS + settings.steps, verbose=0, callbacks=[clock]
    )
    seconds = clock.ends[-1] - clock.ends[_WARM_UP_STEPS - 1]
    return Measured(
        devices,
        batch_size,
        tuple(float(each) for each in history.history["loss"]),
        settings.steps * batch_size / seconds,
        _peak_mib(devices if gpus else 0),
    )


def _network(size_px: int) -> keras.Model:
    """A classifier without dropout: random draws of several devices are not those of one."""
    images = keras.Input((size_px, size_px, 3))
    features = build_backbone(_BACKBONE, size_px, "none")(images)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, keras.layers.Dense(_CLASSES)(features))


def _batches(batch_size: int, settings: DeviceCheckSettings) -> tf.data.Dataset:
    """One batch of coloured noise over and over: the input costs nothing."""
    random = np.random.default_rng(settings.seed)
    shape = (batch_size, settings.image_size_px, settings.image_size_px, 3)
    labels = np.arange(batch_size) % _CLASSES
    images = random.uniform(0, 200, shape).astype(np.float32)
    images[np.arange(batch_size), ..., labels] += 55.0
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


class _Clock(keras.callbacks.Callback):
    """When each step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.ends.append(time.perf_counter())


def _peak_mib(gpus: int) -> float:
    if not gpus:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peaks = (
        tf.config.experimental.get_memory_info(f"GPU:{index}")["peak"] for index in range(gpus)
    )
    return max(peaks) / 2**20
