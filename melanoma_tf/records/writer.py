"""A stream of Examples -> sharded TFRecords with counts, checksums and a manifest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.datasets.lesion import SPLITS
from melanoma_tf.errors import MelanomaError
from melanoma_tf.files import published_folder
from melanoma_tf.records.manifest import Count, Manifest, Shard, write_manifest
from melanoma_tf.records.schema import ORIGINS, Example, serialize

# TFRecord framing: length (8 bytes), its checksum (4) and the payload's checksum (4).
_FRAME_BYTES = 16


@dataclass(frozen=True)
class Sharding:
    """How many files a split is cut into.

    Attributes:
        shard_bytes: a shard is closed when it has reached this size.
        shards: this many shards per split instead, of equal counts; needs `expected`.
        expected: split -> number of examples to come.
    """

    shard_bytes: int = 128 * 2**20
    shards: int | None = None
    expected: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.shards is not None and self.shards < 1:
            raise MelanomaError(f"expected at least 1 shard; found {self.shards}")

    def is_full(self, split: str, index: int, written: int, size_bytes: int) -> bool:
        """Whether a split's shard is complete.

        Args:
            split: its name.
            index: the shard's position in the split.
            written: examples in this and the earlier shards of the split.
            size_bytes: of this shard.
        """
        if self.shards is None:
            return size_bytes >= self.shard_bytes
        # At i * total // shards no two shards differ by more than one example.
        expected = self.expected[split]
        shards = min(self.shards, expected)
        return index + 1 < shards and written >= (index + 1) * expected // shards


class ShardWriter:
    """Writes examples into `folder`, one open shard per split.

    The files get their final names in `finish`, when it is known how many there are.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], sharding: Sharding) -> None:
        self._folder = folder
        self._class_names = tuple(class_names)
        self._sharding = sharding
        self._open: dict[str, _OpenShard] = {}
        self._closed: defaultdict[str, list[Shard]] = defaultdict(list)
        self._written: Counter[str] = Counter()
        self._cells: Counter[tuple[str, str, str, str]] = Counter()

    def add(self, example: Example) -> None:
        """Append one example to its split.

        Raises:
            MelanomaError: label, split or origin do not fit the folder.
        """
        self._check(example)
        split = example.split
        shard = self._open.get(split)
        if shard is None:
            index = len(self._closed[split])
            shard = self._open[split] = _OpenShard(self._folder / f"{split}-{index:05d}.part")
        shard.write(serialize(example))
        self._written[split] += 1
        self._cells[(split, example.label_text, example.source, example.origin)] += 1
        index = len(self._closed[split])
        if self._sharding.is_full(split, index, self._written[split], shard.size_bytes):
            self._close(split)

    def finish(self) -> tuple[tuple[Shard, ...], tuple[Count, ...]]:
        """Close and name every shard; the shards in reading order, and the counts."""
        for split in list(self._open):
            self._close(split)
        shards = []
        for split in SPLITS:
            total = len(self._closed[split])
            for index, shard in enumerate(self._closed[split]):
                name = f"{split}-{index:05d}-of-{total:05d}.tfrecord"
                (self._folder / shard.name).rename(self._folder / name)
                shards.append(Shard(name, split, shard.count, shard.size_bytes, shard.sha256))
        counts = tuple(Count(*cell, number) for cell, number in sorted(self._cells.items()))
        return tuple(shards), counts

    def abandon(self) -> None:
        """Close what is open without finishing it."""
        for shard in self._open.values():
            shard.close()
        self._open.clear()

    def _close(self, split: str) -> None:
        self._closed[split].append(self._open.pop(split).finish(split))

    def _check(self, example: Example) -> None:
        if example.split not in SPLITS:
            raise MelanomaError(f"{example.key}: expected a split of {SPLITS}: {example.split!r}")
        if example.origin not in ORIGINS:
            raise MelanomaError(f"{example.key}: expected one of {ORIGINS}: {example.origin!r}")
        names = self._class_names
        if not 0 <= example.label < len(names) or names[example.label] != example.label_text:
            raise MelanomaError(
                f"{example.key}: expected a label of {names}; "
                f"found {example.label} {example.label_text!r}"
            )


class _OpenShard:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = tf.io.TFRecordWriter(str(path))
        self._count = 0
        self.size_bytes = 0

    def write(self, serialized: bytes) -> None:
        self._writer.write(serialized)
        self._count += 1
        self.size_bytes += len(serialized) + _FRAME_BYTES

    def close(self) -> None:
        self._writer.close()

    def finish(self, split: str) -> Shard:
        self.close()
        return Shard(
            self._path.name, split, self._count, self._path.stat().st_size, sha256(self._path)
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal; read from disk, and flushed to it."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write_records(
    examples: Iterable[Example],
    output: Path,
    *,
    taxonomy: str,
    class_names: Sequence[str],
    settings: Mapping[str, Any],
    sources: Mapping[str, Mapping[str, str]],
    sharding: Sharding | None = None,
    skipped: Sequence[Mapping[str, str]] = (),
    findings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a stream of examples as a record folder, which appears whole or not at all.

    Examples keep their order within their split, so equal streams give equal bytes. One shard per
    split is open at a time and no example is kept: memory does not grow with the stream.

    Args:
        examples: any order of splits.
        output: the folder to appear.
        taxonomy: name of the taxonomy.
        class_names: in the order of `label`.
        settings: what made the folder, for the manifest; JSON values only.
        sources: per source name its `licence` and `attribution`.
        sharding: default: shards of about 128 MiB.
        skipped: files left out, for the manifest; read when the stream has ended, so that the
            stream's producer may fill the list meanwhile.
        findings: what else the manifest shall tell.
        overwrite: replace an existing folder.

    Returns:
        The manifest, as written.

    Raises:
        MelanomaError: `output` exists, the stream is empty, or an example does not fit.
    """
    with published_folder(Path(output), overwrite=overwrite) as folder:
        writer = ShardWriter(folder, class_names, sharding or Sharding())
        try:
            for example in examples:
                writer.add(example)
            shards, counts = writer.finish()
        finally:
            writer.abandon()
        if not shards:
            raise MelanomaError(f"{output}: expected at least one example to write; found none")
        manifest = Manifest(
            taxonomy=taxonomy,
            class_names=tuple(class_names),
            counts=counts,
            shards=shards,
            settings=dict(settings),
            sources={name: dict(source) for name, source in sources.items()},
            skipped=tuple(dict(row) for row in skipped),
            findings=dict(findings or {}),
            tool_version=__version__,
        )
        write_manifest(folder, manifest)
    return manifest
