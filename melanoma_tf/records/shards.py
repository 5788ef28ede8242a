"""Writing of TFRecord shards, one open per split, each with its count and checksum."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError, reason_of
from melanoma_tf.core.files import sha256
from melanoma_tf.datasets.lesion import SPLITS
from melanoma_tf.records.manifest import Count, Shard
from melanoma_tf.records.schema import ORIGINS, Example, serialize

# TFRecord framing: length (8 bytes), its checksum (4) and the payload's checksum (4).
_FRAME_BYTES = 16


@dataclass(frozen=True)
class Skipped:
    """Placeholder in a stream of examples for an image that could not be read.

    Attributes:
        split: split of the image.
        source: data set of the image.
        key: the image's name.
        file: name of the faulty file, without its folder.
        reason: why it could not be read.
    """

    split: str
    source: str
    key: str
    file: str
    reason: str


@dataclass(frozen=True)
class Sharding:
    """Number or size of the files of a split.

    Attributes:
        shard_bytes: size at which a shard is closed.
        shards: number of shards per split instead, of equal counts; needs `expected`.
        expected: split -> number of items to come.
    """

    shard_bytes: int = 128 * 2**20
    shards: int | None = None
    expected: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.shards is not None and self.shards < 1:
            raise MelanomaError(f"expected at least 1 shard; found {self.shards}")

    def is_full(self, split: str, index: int, items: int, size_bytes: int) -> bool:
        """Tell whether a split's shard is complete.

        Args:
            split: name of the split.
            index: the shard's position in the split.
            items: number of items in this and the earlier shards of the split.
            size_bytes: size of this shard.
        """
        if self.shards is None:
            return size_bytes >= self.shard_bytes
        # Cut at i * total // shards, shards differ by at most one item.
        expected = self.expected[split]
        shards = min(self.shards, expected)
        return index + 1 < shards and items >= (index + 1) * expected // shards


class ShardWriter:
    """Writes a stream of examples into shards.

    The files get their final names in `finish`, when their number is known.

    Args:
        folder: an existing folder.
        class_names: class names in the order of `label`.
        sharding: determines when a shard is complete.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], sharding: Sharding) -> None:
        self._folder = folder
        self._class_names = tuple(class_names)
        self._sharding = sharding
        self._splits = {split: _SplitState() for split in SPLITS}

    def add(self, item: Example | Skipped) -> None:
        """Append an example to its split, or record one that was skipped.

        Raises:
            MelanomaError: label, split or origin do not fit the folder.
        """
        if item.split not in SPLITS:
            raise MelanomaError(f"{item.key}: expected a split of {SPLITS}, found {item.split!r}")
        state = self._splits[item.split]
        state.items += 1
        index = len(state.shards)
        if isinstance(item, Skipped):
            state.skipped.append(item)
        else:
            self._check(item)
            if state.shard is None:
                state.shard = _OpenShard(self._folder / f"{item.split}-{index:05d}.part")
            state.shard.write(item)
        shard = state.shard
        if shard and self._sharding.is_full(item.split, index, state.items, shard.size_bytes):
            self._close(item.split)

    def finish(self) -> tuple[tuple[Shard, ...], tuple[Count, ...], tuple[Skipped, ...]]:
        """Close and name every shard.

        Returns:
            The shards in reading order, the counts, and the skipped images.
        """
        shards: list[Shard] = []
        skipped: list[Skipped] = []
        cells: Counter[Count] = Counter()
        for split, state in self._splits.items():
            if state.shard is not None:
                self._close(split)
            total = len(state.shards)
            for index, shard in enumerate(state.shards):
                name = f"{split}-{index:05d}-of-{total:05d}.tfrecord"
                (self._folder / shard.name).rename(self._folder / name)
                shards.append(replace(shard, name=name))
            for row in state.counts:
                cells[replace(row, count=0)] += row.count
            skipped.extend(state.skipped)
        counts = sorted(
            (replace(cell, count=number) for cell, number in cells.items()),
            key=lambda row: (row.split, row.class_name, row.source, row.origin),
        )
        return tuple(shards), tuple(counts), tuple(skipped)

    def abandon(self) -> None:
        """Close the open shards without finishing them."""
        for state in self._splits.values():
            if state.shard is not None:
                state.shard.close()
                state.shard = None

    def _close(self, split: str) -> None:
        state = self._splits[split]
        assert state.shard is not None
        shard, counts = state.shard.finish(split)
        state.shards.append(shard)
        state.counts += counts
        state.shard = None

    def _check(self, example: Example) -> None:
        if example.origin not in ORIGINS:
            raise MelanomaError(
                f"{example.key}: expected an origin of {ORIGINS}, found {example.origin!r}"
            )
        if example.origin == "generated" and example.split != "train":
            raise MelanomaError(
                f"{example.key}: expected generated images in train only; found {example.split}"
            )
        names = self._class_names
        if not 0 <= example.label < len(names) or names[example.label] != example.label_text:
            raise MelanomaError(
                f"{example.key}: expected a label of {names}; "
                f"found {example.label} {example.label_text!r}"
            )


@dataclass
class _SplitState:
    shards: list[Shard] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    shard: _OpenShard | None = None
    items: int = 0


class _OpenShard:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._named_errors():
            self._writer = tf.io.TFRecordWriter(str(path))
        self._cells: Counter[tuple[str, str, str]] = Counter()
        self.size_bytes = 0

    def write(self, example: Example) -> None:
        serialized = serialize(example)
        with self._named_errors():
            self._writer.write(serialized)
        self._cells[(example.label_text, example.source, example.origin)] += 1
        self.size_bytes += len(serialized) + _FRAME_BYTES

    def close(self) -> None:
        with self._named_errors():
            self._writer.close()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise MelanomaError(f"{self._path}: cannot be written: {reason_of(error)}") from None

    def finish(self, split: str) -> tuple[Shard, tuple[Count, ...]]:
        self.close()
        counts = tuple(Count(split, *cell, number) for cell, number in sorted(self._cells.items()))
        # Synced before the folder is published: a power cut must not empty a whole shard.
        with self._path.open("rb") as stream:
            os.fsync(stream.fileno())
        shard = Shard(
            name=self._path.name,
            split=split,
            count=sum(self._cells.values()),
            size_bytes=self._path.stat().st_size,
            sha256=sha256(self._path),
        )
        return shard, counts
