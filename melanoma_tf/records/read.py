"""Reading of record folders outside a graph, example by example."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError, reason_of
from melanoma_tf.records.manifest import local_paths, read_manifest
from melanoma_tf.records.schema import FEATURES, Example, deserialize, parse

_READ_AT_ONCE = 256


def read_examples(folder: Path, split: str | None = None) -> Iterator[Example]:
    """Read the examples of a record folder, in order; one is in memory at a time.

    Args:
        folder: the record folder.
        split: read only this split.

    Raises:
        MelanomaError: the folder has no such split, or a shard is broken.
    """
    manifest = read_manifest(folder)
    if split is not None and split not in manifest.splits():
        splits = ", ".join(manifest.splits())
        raise MelanomaError(f"{folder} has no examples in split {split!r}; it has: {splits}")
    for shard in manifest.shards:
        if split in (None, shard.split):
            (path,) = local_paths(folder, manifest, [shard])
            yield from read_shard(path)


def read_shard(path: Path, first: int = 0, count: int = -1) -> Iterator[Example]:
    """Read the examples of one shard, or `count` of them from the one with the number `first` on.

    Raises:
        MelanomaError: the file is damaged, or contains something else.
    """
    position = first
    try:
        records = tf.data.TFRecordDataset(str(path)).skip(first).take(count)
        for serialized in records.as_numpy_iterator():
            yield deserialize(serialized)
            position += 1
    except (tf.errors.OpError, ValueError) as error:
        is_of_tensorflow = isinstance(error, tf.errors.OpError)
        detail = reason_of(error) if is_of_tensorflow else str(error).splitlines()[0]
        raise MelanomaError(f"{path}: cannot be read after {position} examples: {detail}") from None


@contextlib.contextmanager
def damage_named(paths: Iterable[Path]) -> Iterator[None]:
    """Turn TensorFlow's word for a damaged record into a `MelanomaError` that names its shard.

    Args:
        paths: the shards that the body reads; all are read again to find the damaged one.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        for path in paths:
            for _ in read_shard(path):
                pass
        raise MelanomaError(f"expected whole records; found {reason_of(error)}") from error


def read_features(paths: Sequence[Path], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read some features of the examples in some shards, text as `str`, without decoding images.

    Raises:
        MelanomaError: a shard is damaged, or contains something else.
    """
    records = tf.data.TFRecordDataset([str(path) for path in paths]).batch(_READ_AT_ONCE)
    parsed = records.map(lambda serialized: parse(serialized, names)).prefetch(1)
    with damage_named(paths):
        for batch in parsed.as_numpy_iterator():
            for values in zip(*(batch[name].tolist() for name in names)):
                yield {
                    name: value.decode("utf-8") if FEATURES[name].type is str else value
                    for name, value in zip(names, values)
                }
