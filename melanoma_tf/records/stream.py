"""Records as a stream: read, shuffled, numbered.

Order of a training pipeline, and why: read several shards in turn (disk and page cache are never
the limit) -> shuffle the raw bytes, which are small (so that no decoded image waits in a buffer) ->
number the examples (so that every random draw is a pure function of seed and number, and a
resumed run goes on with the very next example) -> decode and map in parallel -> batch ->
prefetch. Nothing decoded is cached: it would be a copy of the data in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import tensorflow as tf

from melanoma_tf.records import schema

_SHARDS_READ_AT_ONCE = 8

# From the number of a pass and serialised records to its examples.
Expand = Callable[[tf.Tensor, tf.Tensor], Any]
# Tells of a serialised record, a string scalar, whether it belongs to a stream.
Predicate = Callable[[tf.Tensor], tf.Tensor]


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
    keep: Predicate | None = None,
    expand: Expand | None = None,
) -> tf.data.Dataset:
    """The endless stream of shuffled records, each with its number.

    Every record is seen once before any is seen again. The stream is a pure function of the
    arguments. Records that all fit into the window are read once and kept as they are stored,
    which takes no more memory than the window does; others are read anew in each pass.

    Args:
        paths: the shards.
        count: the number of examples in a pass over those to keep; of records, unless `expand`
            makes more of them.
        seed: of the order.
        window: records that are shuffled among each other.
        first_example: the number to begin with; those before it are left out.
        keep: tells of a serialised record whether it belongs to the stream; all do by default.
        expand: makes a pass' examples of serialised records, `(records,)`: a tensor or a tuple of
            them with the examples along the first axis. It must treat each record alike whatever
            stands beside it. By default the records are the examples.

    Returns:
        Pairs `(number, example)`: an int64 scalar, and a string scalar or what `expand` makes.
    """
    first_pass, offset = divmod(first_example, count)
    kept = functools.partial(_kept, keep=keep)

    def shuffled(number: tf.Tensor, which: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
        # A prime far above any number of passes keeps windows and passes apart. Not a named stream:
        # the order of a seeded training stays what it was.
        key = tf.stack([tf.constant(seed, tf.int64), which + number * 1_000_003])
        return _reordered(records if expand is None else expand(which, records), key)

    def all_passes(records: tf.Tensor) -> tf.data.Dataset:
        passes = tf.data.Dataset.range(first_pass, tf.int64.max)
        return passes.map(lambda which: shuffled(tf.constant(0, tf.int64), which, records))

    def one_pass(which: tf.Tensor) -> tf.data.Dataset:
        names = tf.constant([str(path) for path in paths])
        key = tf.stack([tf.constant(seed, tf.int64), which])
        names = tf.random.experimental.stateless_shuffle(names, key)
        windows = kept(tf.data.Dataset.from_tensor_slices(names)).batch(window).enumerate()
        return windows.map(lambda number, records: shuffled(number, which, records))

    if count <= window:
        groups = kept(tf.data.Dataset.from_tensor_slices([str(path) for path in paths]))
        groups = groups.batch(count).flat_map(all_passes)
    else:
        groups = tf.data.Dataset.range(first_pass, tf.int64.max).flat_map(one_pass)
    return groups.prefetch(1).unbatch().skip(offset).enumerate(first_example)


def is_not_purified_copy(serialized: tf.Tensor) -> tf.Tensor:
    """Whether a serialised record is no copy that stands beside its original.

    Where scores are computed an image counts once. A purified image that replaced its original
    has the original's key, and counts.
    """
    record = schema.parse(serialized, ("origin", "origin/parent", "image/key"))
    replaced = tf.equal(record["image/key"], record["origin/parent"])
    return tf.not_equal(record["origin"], "purified") | replaced


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
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


def _kept(
    shards: tf.data.Dataset, *, keep: Callable[[tf.Tensor], tf.Tensor] | None
) -> tf.data.Dataset:
    records = _read(shards)
    return records if keep is None else records.filter(keep)


def _reordered(examples: Any, key: tf.Tensor) -> Any:
    """Shuffle by a stateless draw: `Dataset.shuffle` cannot resume at a pass."""
    places = tf.range(tf.shape(tf.nest.flatten(examples)[0])[0])
    order = tf.random.experimental.stateless_shuffle(places, key)
    return tf.nest.map_structure(lambda part: tf.gather(part, order), examples)
