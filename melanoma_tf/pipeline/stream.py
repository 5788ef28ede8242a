"""Records as a stream: read, shuffled, numbered.

Order of a training pipeline, and why: read several shards in turn (disk and page cache are never
the limit) -> shuffle the raw bytes, which are small (so that no decoded image waits in a buffer) ->
number the examples (so that every random draw is a pure function of seed and number, and a
resumed run goes on with the very next example) -> decode and map in parallel -> batch ->
prefetch. Nothing is cached: raw records come from the page cache anyway, and decoded ones would
be a copy of the data in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import tensorflow as tf

from melanoma_tf.records import schema

_SHARDS_READ_AT_ONCE = 8

# Tells of a serialised record, a string scalar, whether it belongs to a stream.
Keep = Callable[[tf.Tensor], tf.Tensor]


def read_shards(paths: Sequence[Path]) -> tf.data.Dataset:
    """One pass over the serialised records of some shards, always in the same order."""
    return _read(tf.data.Dataset.from_tensor_slices([str(path) for path in paths]))


def shuffled_stream(
    paths: Sequence[Path],
    count: int,
    *,
    seed: int,
    window: int,
    first_example: int = 0,
    keep: Keep | None = None,
) -> tf.data.Dataset:
    """The endless stream of shuffled records, each with its number.

    Every record is seen once before any is seen again. The stream is a pure function of the
    arguments.

    Args:
        paths: the shards.
        count: the number of records that they hold, all together, of those to keep.
        seed: of the order.
        window: records that are shuffled among each other.
        first_example: the number to begin with; those before it are left out.
        keep: tells of a serialised record whether it belongs to the stream; all do by default.

    Returns:
        Pairs `(number, serialized)`: int64 and string scalars.
    """
    epoch, offset = divmod(first_example, count)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        names = tf.constant([str(path) for path in paths])
        shuffled_names = tf.random.experimental.stateless_shuffle(names, key)
        records = _read(tf.data.Dataset.from_tensor_slices(shuffled_names))
        return _shuffled(records if keep is None else records.filter(keep), window, key)

    epochs = tf.data.Dataset.range(epoch, tf.int64.max)
    return epochs.flat_map(one_epoch).skip(offset).enumerate(first_example)


def counts_once(serialized: tf.Tensor) -> tf.Tensor:
    """Whether a serialised record is no copy that stands beside its original.

    Where scores are computed an image counts once. A purified image that replaced its original
    has the original's key, and counts.
    """
    record = schema.parse(serialized, ("origin", "origin/parent", "image/key"))
    replaced = tf.equal(record["image/key"], record["origin/parent"])
    return tf.not_equal(record["origin"], "purified") | replaced


def both(first: Keep | None, second: Keep | None) -> Keep | None:
    """A filter that keeps what both keep; None keeps everything."""
    if first is None or second is None:
        return first or second
    one, other = first, second
    return lambda serialized: tf.logical_and(one(serialized), other(serialized))


def ordered(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetch, and keep the order although the stages run in parallel."""
    options = tf.data.Options()
    options.deterministic = True
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _read(shards: tf.data.Dataset) -> tf.data.Dataset:
    # No threads here: one reads records several times as fast as all cores decode them, and a
    # small data set would start the threads anew with every epoch.
    return shards.interleave(tf.data.TFRecordDataset, cycle_length=_SHARDS_READ_AT_ONCE)


def _shuffled(records: tf.data.Dataset, window: int, key: tf.Tensor) -> tf.data.Dataset:
    """Shuffle within windows by stateless draws: `Dataset.shuffle` cannot resume at an epoch."""

    def shuffled(number: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        # A prime far above any number of epochs keeps windows and epochs apart.
        return tf.random.experimental.stateless_shuffle(group, key + [0, number * 1_000_003])

    return records.batch(window).enumerate().map(shuffled).prefetch(1).unbatch()
