"""On which devices a model is trained."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError, reason_of
from melanoma_tf.training import slurm
from melanoma_tf.training.settings import STRATEGIES, TrainingSettings
from melanoma_tf.training.workers import SLURM, VARIABLE, Workers, visible_workers

_NAMED = tuple(name for name in STRATEGIES if name != "auto")
# What TensorFlow raises where another worker is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


@dataclass(frozen=True)
class Devices:
    """The devices of a training.

    Attributes:
        strategy: TensorFlow's.
        workers: the processes, and which of them this is.
        words: what is used, for the log.
    """

    strategy: tf.distribute.Strategy
    workers: Workers
    words: str


def choose_devices(settings: TrainingSettings, workers: Workers | None = None) -> Devices:
    """Choose the devices of a training. Call it before anything else uses TensorFlow.

    Args:
        settings: whose strategy `auto` is `multi-worker` where TF_CONFIG names several workers,
            else `mirrored` where several GPUs can share a batch equally, else `single`.
        workers: see `visible_workers`, by default.

    Raises:
        MelanomaError: see `make_strategy` and `visible_workers`; or more than one worker and
            another strategy than `multi-worker`.
    """
    name, replicas = settings.strategy, settings.replicas
    workers = visible_workers(strategy=name) if workers is None else workers
    why = "" if name != "auto" else ", chosen by what is visible"
    if name == "auto":
        name, replicas = _chosen(settings, workers)
        tasks = slurm.count_tasks(os.environ)
        if workers.count == 1 and tasks > 1:
            why += f"; --strategy multi-worker would take the {tasks} tasks of this Slurm step"
    if workers.count > 1 and name != "multi-worker":
        raise MelanomaError(
            f"expected --strategy multi-worker for the {workers.count} workers of "
            f"{workers.named_by}; found {name}"
        )
    strategy = make_strategy(name, replicas, workers)
    return Devices(strategy, workers, f"strategy: {_in_words(name, strategy, workers)}{why}")


def make_strategy(
    name: str, replicas: int = 0, workers: Workers | None = None
) -> tf.distribute.Strategy:
    """The distribution strategy of that name. Make it before anything else uses TensorFlow.

    Args:
        name: `single` device, `mirrored` over the visible GPUs, or `multi-worker` over the visible
            GPUs of all workers.
        replicas: number of devices to mirror on; 0 takes all GPUs. Without a GPU the CPU is split
            into that many logical devices, which is possible only before TensorFlow has used it.
        workers: see `visible_workers`, by default.

    Raises:
        MelanomaError: unknown name, more replicas than GPUs, the CPU can no longer be split, or no
            other worker for `multi-worker`.
    """
    if name not in _NAMED:
        raise MelanomaError(f"expected a strategy out of {', '.join(_NAMED)}; found {name}")
    if name != "mirrored" and replicas > 1:
        raise MelanomaError(f"expected --strategy mirrored for {replicas} replicas; found {name}")
    if name == "single":
        return tf.distribute.get_strategy()
    if name == "multi-worker":
        workers = visible_workers(strategy=name) if workers is None else workers
        if workers.count == 1:
            raise MelanomaError(
                f"expected {VARIABLE} or a Slurm step to name more than one worker for --strategy "
                "multi-worker; found none. scripts/launch_workers.py sets it for local ones"
            )
        return _multi_worker(workers)
    gpus = _gpus()
    if gpus:
        if replicas > len(gpus):
            raise MelanomaError(
                f"expected at most {len(gpus)} replicas, one a GPU; found {replicas}"
            )
        return tf.distribute.MirroredStrategy(gpus[: replicas or None])
    _split_cpu(max(1, replicas))
    devices = tf.config.list_logical_devices("CPU")[: max(1, replicas)]
    # Not by collectives: those of one strategy collide with those of the next in a process.
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


@contextlib.contextmanager
def lost_workers_named(workers: Workers) -> Iterator[None]:
    """Turn TensorFlow's word for a worker that is gone into a `MelanomaError`.

    Args:
        workers: of the training; without others nothing is done.
    """
    try:
        yield
    except _LOST as error:
        if workers.count == 1:
            raise
        raise MelanomaError(
            f"worker {workers.index + 1} of {workers.count} lost another one: "
            f"{reason_of(error)}. Start "
            "every worker again with --resume"
        ) from error


def agreed(strategy: tf.distribute.Strategy, value: int) -> int:
    """Return the chief's value of a number, once every worker has come to this place.

    Args:
        strategy: of all workers.
        value: this worker's; that of others than the chief is ignored.
    """

    @tf.function
    def summed(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        is_first = tf.equal(context.replica_id_in_sync_group, 0)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, own, 0))

    found = strategy.run(summed, args=(tf.constant(value),))
    return int(strategy.experimental_local_results(found)[0])


def _chosen(settings: TrainingSettings, workers: Workers) -> tuple[str, int]:
    if workers.count > 1:
        return "multi-worker", settings.replicas
    if settings.replicas > 1:
        return "mirrored", settings.replicas
    gpus = len(tf.config.list_physical_devices("GPU"))
    sharing = [count for count in range(2, gpus + 1) if settings.batch_size % count == 0]
    return ("mirrored", sharing[-1]) if sharing and not settings.replicas else ("single", 0)


@functools.lru_cache(maxsize=1)  # TensorFlow connects to a cluster once in a process.
def _multi_worker(workers: Workers) -> tf.distribute.Strategy:
    assert workers.count > 1
    if workers.named_by == VARIABLE:
        return tf.distribute.MultiWorkerMirroredStrategy()
    # Not TensorFlow's own resolver for Slurm: it sorts hosts by name and ranks as Slurm does not,
    # and it divides GPUs by itself, where Slurm has done so.
    return tf.distribute.MultiWorkerMirroredStrategy(
        tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(workers.addresses)}),
            task_type="worker",
            task_id=workers.index,
            rpc_layer="grpc",
        )
    )


def _gpus() -> list[str]:
    if not tf.config.list_physical_devices("GPU"):
        return []
    return [gpu.name for gpu in tf.config.list_logical_devices("GPU")]


def _in_words(name: str, strategy: tf.distribute.Strategy, workers: Workers) -> str:
    gpus = len(tf.config.list_physical_devices("GPU"))
    kind = "GPU" if gpus else "CPU"
    replicas = strategy.num_replicas_in_sync
    if name == "single":
        return f"single, on a {kind}"
    if name == "mirrored":
        of = f" of {gpus}" if gpus > replicas else ""
        return f"mirrored, {replicas}{of} replicas on {kind}s"
    role = "the chief" if workers.is_chief else workers.addresses[workers.index]
    by = f" of the Slurm step on {_hosts(workers)}" if workers.named_by == SLURM else ""
    return (
        f"multi-worker, worker {workers.index + 1} of {workers.count} ({role}){by}, {replicas} "
        f"replicas on {kind}s in all"
    )


def _hosts(workers: Workers) -> str:
    return ", ".join(dict.fromkeys(each.rpartition(":")[0] for each in workers.addresses))


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
