"""The batches that a worker trains and validates on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.parts import Part
from melanoma_tf.training.job import TrainingJob
from melanoma_tf.training.strategy import Devices


def check_equal_shares(batch_size: int, parts: int, strategy: tf.distribute.Strategy) -> None:
    """Refuse unequal shares: images of the smaller ones would weigh more in the loss."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise MelanomaError(
            f"expected a batch size that {replicas} replicas can share equally; found {batch_size}"
        )
    Part(0, parts).share(batch_size)


def training_batches(
    job: TrainingJob,
    devices: Devices,
    steps_done: int,
    watch: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None,
) -> Any:
    """The endless batches of this worker, as `fit` takes them.

    A global batch has the same number of examples of each part of the input, in the order of the
    parts. It is the same for one worker that reads all parts and for several that share them.

    Args:
        job: what is trained.
        devices: whose workers share the parts of the input.
        steps_done: steps of the training that are done already.
        watch: changes the batches of this worker, before its replicas share them.
    """
    settings, workers = job.record.settings, devices.workers
    count = max(1, settings.input_parts)
    own = count // workers.count
    first = workers.index * own
    done = steps_done * settings.batch_size // count
    parts = [job.training_batches(done, Part(index, count)) for index in range(first, first + own)]
    batches = parts[0] if own == 1 else tf.data.Dataset.zip(tuple(parts)).map(_concatenated)
    if watch is not None:
        batches = watch(batches)
    if workers.count == 1:
        return batches
    replicas = devices.strategy.num_replicas_in_sync
    of_replica = batches.rebatch(settings.batch_size // replicas, drop_remainder=True)
    return devices.strategy.distribute_datasets_from_function(lambda context: of_replica)


@dataclass(frozen=True)
class Validation:
    """The validation of a worker, as `fit` takes it.

    Attributes:
        batches: of this worker; None where there is no validation split.
        steps: in which all replicas together see every example once; None sees all batches.
    """

    batches: Any = None
    steps: int | None = None


def validation(job: TrainingJob, devices: Devices) -> Validation:
    """Divide the validation examples among replicas, of which each gets some in every step.

    TensorFlow would give the last, smaller batch to some replicas and an empty one to others, which
    not every layer can take. The examples are counted first, which decodes them once.

    Args:
        job: what is trained.
        devices: among whose replicas the examples are divided.

    Raises:
        MelanomaError: there are fewer examples than replicas.
    """
    batches, strategy = job.validation_batches, devices.strategy
    replicas = strategy.num_replicas_in_sync
    if batches is None or replicas == 1:
        return Validation(batches)
    sizes = [int(tf.shape(tf.nest.flatten(batch)[0])[0]) for batch in batches]
    if sum(sizes) < replicas:
        raise MelanomaError(
            f"expected at least {replicas} validation examples, one a replica; found {sum(sizes)}"
        )
    steps = min(len(sizes), sum(sizes) // replicas)
    pieces = steps * replicas
    cuts = [place * sum(sizes) // pieces for place in range(pieces + 1)]
    local = replicas // devices.workers.count

    def is_own(place: tf.Tensor, piece: Any) -> tf.Tensor:
        del piece
        return place % replicas // local == devices.workers.index

    divided = batches.rebatch([end - begin for begin, end in zip(cuts, cuts[1:])])
    own = divided.enumerate().filter(is_own).map(lambda place, piece: piece)
    endless = own.repeat().apply(
        tf.data.experimental.assert_cardinality(tf.data.experimental.INFINITE_CARDINALITY)
    )
    return Validation(strategy.distribute_datasets_from_function(lambda context: endless), steps)


def _concatenated(*batches: Any) -> Any:
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *batches)
