"""Record folders -> Examples, one after the other, outside a graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from melanoma_tf.errors import MelanomaError
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.schema import Example, deserialize


def read_examples(folder: Path, split: str | None = None) -> Iterator[Example]:
    """The examples of a record folder, in reading order; one is in memory at a time.

    Args:
        folder: the record folder.
        split: only this one.

    Raises:
        MelanomaError: the folder has no such split, or a shard is broken.
    """
    manifest = read_manifest(folder)
    if split is not None and split not in manifest.splits():
        held = ", ".join(manifest.splits())
        raise MelanomaError(f"{folder} has no examples in split {split!r}; it has: {held}")
    for shard in manifest.shards:
        if split in (None, shard.split):
            yield from read_shard(Path(folder) / shard.name)


def read_shard(path: Path) -> Iterator[Example]:
    """The examples of one shard.

    Raises:
        MelanomaError: the file is broken, or holds something else.
    """
    position = 0
    try:
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield deserialize(serialized)
            position += 1
    except (tf.errors.OpError, ValueError) as error:
        detail = getattr(error, "message", str(error)).splitlines()[0]
        raise MelanomaError(f"{path}: cannot be read after {position} examples: {detail}") from None
