"""Purify the images of a record folder by Apache Beam, part by part of its shards."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.core.beam import map_on_beam
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import workers_folder
from melanoma_tf.purification.on_example import purified_image
from melanoma_tf.purification.purifier import Purifier, load_tools, purifier
from melanoma_tf.purification.settings import CLASSICAL, NONE, SHIPPED, PurificationSettings
from melanoma_tf.records.header import Header, UnreadableImageError, read_header
from melanoma_tf.records.manifest import Manifest, local_paths, read_manifest
from melanoma_tf.records.read import read_examples, read_shard
from melanoma_tf.records.schema import Example

# Enough for many workers; each part reads its shard from the beginning, so no more than that.
_PARTS = 64
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class ShardPart:
    """Some examples of a shard: `count` from the one with the number `first` on."""

    path: Path
    first: int
    count: int


def purified_on_beam(
    source: Path, output: Path, settings: PurificationSettings, options: Sequence[str]
) -> Iterator[tuple[Example, bytes]]:
    """Purify by Apache Beam; see `core.beam` for `options`.

    Args:
        source: a record folder, whose shards are at the same paths on all workers.
        output: workers write next to it.
        settings: see `PurificationSettings`; each worker works on one image at a time.
        options: of Beam.

    Yields:
        The examples in order, each with its purified image, empty where too little is occluded.
    """
    manifest = read_manifest(source)
    parts = shard_parts(source, manifest)
    task = functools.partial(_purified_part, settings=_for_workers(settings))
    examples = read_examples(source)
    with (
        workers_folder(output) as folder,
        contextlib.closing(map_on_beam(task, parts, folder, options)) as results,
    ):
        for part, images in zip(parts, results):
            if len(images) != part.count:
                raise _other(f"{len(images)} images for {part.count} of {part.path.name}")
            for example, image in zip(itertools.islice(examples, part.count), images):
                _check(example, image)
                yield example, image


def shard_parts(folder: Path, manifest: Manifest) -> list[ShardPart]:
    """Divide the shards of a record folder into parts, in order, some dozens in all."""
    for_each = -(-_PARTS // len(manifest.shards))
    parts = []
    for shard in manifest.shards:
        (path,) = local_paths(folder, manifest, [shard])
        number = min(for_each, shard.count)
        starts = [index * shard.count // number for index in range(number + 1)]
        parts += [
            ShardPart(path.absolute(), first, end - first) for first, end in zip(starts, starts[1:])
        ]
    return parts


def _purified_part(part: ShardPart, settings: PurificationSettings) -> Iterator[bytes]:
    apply = _purifier(settings)
    for example in read_shard(part.path, part.first, part.count):
        yield purified_image(example, apply, settings)


def _purifier(settings: PurificationSettings) -> Purifier:
    # Threads of a worker would each load the networks.
    with _one_at_a_time:
        return _loaded(settings)


@functools.lru_cache(maxsize=1)
def _loaded(settings: PurificationSettings) -> Purifier:
    tools = load_tools(settings)
    return purifier(settings.method, tools.segment_lesion, tools.networks)


def _for_workers(settings: PurificationSettings) -> PurificationSettings:
    """The same settings for processes with another working folder."""
    return dataclasses.replace(
        settings,
        inpainter=_absolute(settings.inpainter),
        detector=_absolute(settings.detector),
        segmenter=_absolute(settings.segmenter),
    )


def _absolute(network: str) -> str:
    is_name = network in (SHIPPED, CLASSICAL, NONE)
    return network if is_name else str(Path(network).absolute())


def _check(example: Example, image: bytes) -> None:
    """Refuse what is no image of the example's format and size."""
    if not image:
        return
    try:
        found = read_header(image)
    except UnreadableImageError:
        found = None
    expected = Header(example.image_format, example.height, example.width)
    if found != expected or example.origin != "real":
        raise _other(f"another one for {example.key}")


def _other(found: str) -> MelanomaError:
    return MelanomaError(
        f"result of a worker of Apache Beam: expected purified images; found {found}: do all "
        "workers have this version of melanoma-tf?"
    )
