"""On which devices a model is trained."""

from __future__ import annotations

import contextlib

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError

STRATEGIES = ("single", "mirrored")


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
    # Not by collectives: those of one strategy collide with those of the next in a process.
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


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
