"""Streams of shuffled and numbered records.

Order of a training pipeline, with reasons: read several shards in turn (disk and page cache are
never the limit) -> shuffle the encoded bytes, which are small (no decoded image waits in a buffer)
-> number the examples (every random draw is a pure function of seed and number, and a resumed run
continues with the very next example) -> decode and map in parallel -> batch -> prefetch. Decoded
images are not cached: that would be a copy of the data in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records import schema
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.parts import WHOLE, Part

_SHARDS_READ_AT_ONCE = 8
_COUNTED_AT_ONCE = 1024
# Of the encoded records in all windows of a pipeline. A stream holds up to three windows: one that
# is read, one that waits, and one that is handed out.
_WINDOW_BYTES = 256 * 2**20

# Makes the examples of a pass, given its number and serialised records.
Expand = Callable[[tf.Tensor, tf.Tensor], Any]
# Whether a serialised record, a string scalar, belongs to a stream.
Predicate = Callable[[tf.Tensor], tf.Tensor]


def read_shards(paths: Sequence[Path]) -> tf.data.Dataset:
    """Read the serialised records of some shards once, always in the same order."""
    return _read(tf.data.Dataset.from_tensor_slices([str(path) for path in paths]))


def reading_order(counts: Sequence[int]) -> npt.NDArray[np.int64]:
    """The order in which `read_shards` reads the records of shards that hold so many.

    Returns:
        int64 `(records,)`: the numbers of the records read, counted shard after shard.
    """
    ends = np.cumsum(counts, dtype=np.int64)
    pairs = np.stack([ends - counts, ends], axis=1)
    numbers = tf.data.Dataset.from_tensor_slices(pairs).interleave(
        lambda pair: tf.data.Dataset.range(pair[0], pair[1]), cycle_length=_SHARDS_READ_AT_ONCE
    )
    found = [batch.numpy() for batch in numbers.batch(_COUNTED_AT_ONCE)]
    return np.concatenate([np.empty(0, np.int64), *found])


def shuffled_stream(
    paths: Sequence[Path],
    count: int,
    *,
    seed: int,
    window: int,
    first_example: int = 0,
    keep: Predicate | None = None,
    expand: Expand | None = None,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Make the endless stream of shuffled records, each with its number.

    Every record is seen once before any is seen again: a pure function of the arguments. Records
    that all fit into the window are read once and kept encoded.

    Args:
        paths: the shards.
        count: number of examples in a pass over the records to keep.
        seed: seed of the order.
        window: number of records that are shuffled together.
        first_example: how many examples of the stream to leave out.
        keep: whether a serialised record belongs to the stream; all do by default.
        expand: makes the examples of a pass from serialised records, `(records,)`: a tensor or a
            tuple of them with the examples along the first axis, for each record by itself.
        part: the shards to read, whose records are counted first; numbers of parts differ.

    Returns:
        Pairs `(number, example)`: an int64 scalar, and a string scalar or what `expand` makes.

    Raises:
        MelanomaError: fewer shards than parts, or no example in those of this part.
    """
    kept = functools.partial(_kept, keep=keep)
    paths, count = _of_part(part, paths, count, kept, expand)
    first_pass, offset = divmod(first_example, count)

    def shuffled(number: tf.Tensor, which: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
        # A prime far above any number of passes. Not a named stream: the order stays as of old.
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
    stored = groups.prefetch(1).unbatch().skip(offset).enumerate(first_example)
    return stored.map(lambda number, example: (part.number(number), example))


def bounded_window(window: int, manifests: Iterable[Manifest], split: str, streams: int = 1) -> int:
    """Bound a shuffle window by the memory that its encoded records take.

    The result depends on the manifests only, so a stream stays the same on every machine.

    Args:
        window: most records that are shuffled together.
        manifests: those of the record folders.
        split: the split that is read.
        streams: number of streams with a window each, such as one per class.

    Returns:
        The window, or less where the windows of all streams would hold more than 256 MiB.
    """
    sizes = [
        shard.size_bytes / shard.count
        for manifest in manifests
        for shard in manifest.shards
        if shard.split == split and shard.count
    ]
    fitting = int(_WINDOW_BYTES / streams / max(sizes, default=1.0))
    return max(1, min(window, fitting))


def is_not_purified_copy(serialized: tf.Tensor) -> tf.Tensor:
    """Tell whether a serialised record is not the purified copy of another record.

    Scores count every image once. A purified image that replaced its original has the original's
    key, and counts.
    """
    record = schema.parse(serialized, ("origin", "origin/parent", "image/key"))
    replaced = tf.equal(record["image/key"], record["origin/parent"])
    return tf.not_equal(record["origin"], "purified") | replaced


def both(first: Predicate | None, second: Predicate | None) -> Predicate | None:
    """Combine two filters into one that keeps what both keep; None keeps everything."""
    if first is None or second is None:
        return first or second
    one, other = first, second
    return lambda serialized: tf.logical_and(one(serialized), other(serialized))


def ordered(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetch, and keep the order of stages that run in parallel."""
    options = tf.data.Options()
    options.deterministic = True
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _read(shards: tf.data.Dataset) -> tf.data.Dataset:
    # No threads here: one reads records several times as fast as all cores decode them, and with a
    # small data set threads would start again in every epoch.
    return shards.interleave(tf.data.TFRecordDataset, cycle_length=_SHARDS_READ_AT_ONCE)


def _kept(
    shards: tf.data.Dataset, *, keep: Callable[[tf.Tensor], tf.Tensor] | None
) -> tf.data.Dataset:
    records = _read(shards)
    return records if keep is None else records.filter(keep)


def _of_part(
    part: Part,
    paths: Sequence[Path],
    count: int,
    kept: Callable[[tf.data.Dataset], tf.data.Dataset],
    expand: Expand | None,
) -> tuple[Sequence[Path], int]:
    """The shards of a part, and the number of examples that a pass over their records makes."""
    if part.count == 1:
        return paths, count
    own = part.files(paths, paths[0].parent if paths else "records")
    found = _counted(kept(tf.data.Dataset.from_tensor_slices([str(path) for path in own])), expand)
    if not found:
        raise MelanomaError(
            f"{own[0].parent}: expected examples to train on in each part of the input; part "
            f"{part.index + 1} of {part.count}, {own[0].name} and {len(own) - 1} more, has none. "
            "Train on fewer workers, or build the records with other --shards"
        )
    return own, found


def _counted(records: tf.data.Dataset, expand: Expand | None) -> int:
    """Count the examples that a pass over some records makes."""
    found = 0
    for batch in records.batch(_COUNTED_AT_ONCE):
        examples = batch if expand is None else expand(tf.constant(0, tf.int64), batch)
        found += int(tf.shape(tf.nest.flatten(examples)[0])[0])
    return found


def _reordered(examples: Any, key: tf.Tensor) -> Any:
    """Shuffle by a stateless draw, since `Dataset.shuffle` cannot resume at a pass."""
    places = tf.range(tf.shape(tf.nest.flatten(examples)[0])[0])
    order = tf.random.experimental.stateless_shuffle(places, key)
    return tf.nest.map_structure(lambda part: tf.gather(part, order), examples)
