"""The nearest real images by Apache Beam: each worker searches a shard, then they are merged."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.beam import map_on_beam
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import workers_folder
from melanoma_tf.generation.data import is_real, real_blocks_of, shards_of
from melanoma_tf.generation.nearest_neighbours import Images, Nearest, Places, nearest
from melanoma_tf.records.read import read_features
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.stream import read_shards, reading_order

_IMAGES = "images.npy"
_NONE = -1


@dataclass(frozen=True)
class _Shard:
    """A shard to search.

    Attributes:
        path: of the shard.
        images: file of the images to find the nearest of.
        own_records: int64 `(images,)`: which records of it are those images themselves, -1 for
            none; or None.
    """

    path: Path
    images: Path
    own_records: Places | None


class BeamSearch:
    """Find the nearest real image of every image by Apache Beam.

    The result is that of `nearest_neighbours.nearest` with `data.real_blocks`: the same distances
    and places, and of equally near ones the same.

    Args:
        records: the real images, whose shards are at the same paths on all workers.
        output: workers read the images and write next to it, see `core.outputs.workers_folder`.
        options: of Beam, see `core.beam`.
    """

    def __init__(self, records: RecordSet, output: Path, options: Sequence[str]) -> None:
        self._paths = [path.absolute() for path in shards_of(records)]
        self._counts = [
            shard.count
            for manifest in records.manifests
            for split in manifest.splits()
            for shard in manifest.shards
            if shard.split == split
        ]
        self._starts = np.cumsum([0, *self._counts], dtype=np.int64)
        self._output = output
        self._options = options
        # The number of the record that is read at each position, and the other way round.
        self._order = reading_order(self._counts)
        self._positions = np.argsort(self._order)

    def __call__(self, images: Images, own_places: Places | None = None) -> Nearest:
        """Search; see `nearest_neighbours.nearest` for the arguments and the result.

        Raises:
            MelanomaError: Beam fails, or a worker sends something else than such a result.
        """
        own = None if own_places is None else self._records_at(own_places)
        with workers_folder(self._output) as folder:
            np.save(folder / _IMAGES, images, allow_pickle=False)
            shards = [
                _Shard(path, (folder / _IMAGES).resolve(), _within(own, start, count))
                for path, start, count in zip(self._paths, map(int, self._starts), self._counts)
            ]
            results = map_on_beam(_search_shard, shards, folder, self._options)
            with contextlib.closing(results):
                return self._merged(results, len(images))

    def _merged(self, results: Any, count: int) -> Nearest:
        flags = np.zeros(len(self._order), bool)
        far = np.iinfo(np.int64).max
        position = np.full(count, far)
        distance, mirrored = np.full(count, np.inf), np.zeros(count, bool)
        for start, size, parts in zip(self._starts, self._counts, results):
            is_real_here, found = _unpack(parts, size, count)
            flags[start : start + size] = is_real_here
            there = np.where(
                found.index == _NONE, far, self._positions[start + np.maximum(found.index, 0)]
            )
            # Of equally near ones the first that one process would read.
            nearer = (found.distance < distance) | (
                (found.distance == distance) & (there < position)
            )
            position[nearer], distance[nearer] = there[nearer], found.distance[nearer]
            mirrored[nearer] = found.mirrored[nearer]
        places = np.cumsum(flags[self._order]) - 1
        index = np.full(count, _NONE, np.int64)
        index[position < far] = places[position[position < far]]
        return Nearest(index, distance, mirrored)

    def _records_at(self, places: Places) -> Places:
        """The records of the real images at some places of the stream."""
        flags = read_shards(self._paths).map(is_real).as_numpy_iterator()
        found: list[int] = []
        for position, flag in enumerate(flags):
            if flag:
                found.append(position)
            if len(found) > places.max(initial=0):
                break
        return self._order[np.array(found, np.int64)[places]]


def _within(records: Places | None, start: int, count: int) -> Places | None:
    """Numbers of records within a shard; -1 for those of others."""
    if records is None:
        return None
    return np.where((records >= start) & (records < start + count), records - start, _NONE)


def _search_shard(shard: _Shard) -> list[bytes]:
    images = np.load(shard.images, allow_pickle=False)
    origins = read_features([shard.path], ["origin"])
    flags = np.array([row["origin"] == "real" for row in origins], bool)
    records = np.flatnonzero(flags)
    own_places = None
    if shard.own_records is not None:
        own_places = np.searchsorted(records, shard.own_records)
        own_places[shard.own_records == _NONE] = _NONE
    blocks = real_blocks_of([shard.path], images.shape[1])
    found = nearest(images, (block for block, _ in blocks()), own_places=own_places)
    index = found.index
    index[index != _NONE] = records[index[index != _NONE]]
    arrays = (flags, index, found.distance, found.mirrored)
    return [each.tobytes() for each in arrays]


def _unpack(parts: Sequence[bytes], size: int, count: int) -> tuple[npt.NDArray[np.bool_], Nearest]:
    """The flags of a shard's records, real or not, and what was found, by record of the shard."""
    types = ((np.uint8, size), (np.int64, count), (np.float64, count), (np.uint8, count))
    lengths = [np.dtype(kind).itemsize * number for kind, number in types]
    if [len(part) for part in parts] != lengths:
        raise _other(f"{[len(part) for part in parts]} bytes, not {lengths}")
    flags, index, distance, mirrored = (
        np.frombuffer(part, kind) for part, (kind, _) in zip(parts, types)
    )
    exists = index != _NONE
    if not (
        flags.max(initial=0) <= 1
        and mirrored.max(initial=0) <= 1
        and ((index >= _NONE) & (index < size)).all()
        and flags[index[exists]].all()
        and (np.isfinite(distance) == exists).all()
        and (distance >= 0.0).all()
    ):
        raise _other("values out of their range")
    return flags.astype(bool), Nearest(index, distance, mirrored.astype(bool))


def _other(found: str) -> MelanomaError:
    return MelanomaError(
        f"result of a worker of Apache Beam: expected the nearest real images; found {found}: do "
        "all workers have this version of melanoma-tf?"
    )
