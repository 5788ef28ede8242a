"""Work on items by Apache Beam: on this machine, or on workers that share its drive.

Workers write their results into files of a folder that they share with this process, one file for
each bundle, which gets its name when the bundle is done. A bundle that a runner repeats writes the
same results again, and the first of them counts. So nothing depends on the runner.

Results are bytes, and reading them runs no code. Each has a checksum under a key that only this
process and its workers know, so what anybody else puts into the folder is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import os
import secrets
import shutil
import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from melanoma_tf.core.errors import MelanomaError

# Index of the item, length of its result, and the keyed checksum of both.
_HEAD = struct.Struct("<QQ16s")
_CHECKSUM_BYTES = 16
_COUNT = struct.Struct("<Q")
_DONE = ".results"

# Makes the parts of the result of an item.
Task = Callable[[Any], Iterable[bytes]]


def map_on_beam(
    task: Task,
    items: Sequence[Any],
    folder: Path,
    options: Sequence[str] = (),
) -> Generator[list[bytes], None, None]:
    """Apply a task to items by Apache Beam, and yield the results in the order of the items.

    Args:
        task: makes the result of an item, some byte strings; Beam pickles it and the items on their
            way to the workers.
        items: what to work on; the paths in it must exist on the workers too.
        folder: an existing folder for the results, the same on all workers; they are removed from
            it at the end.
        options: of Beam, as `runner=FlinkRunner`.

    Yields:
        The byte strings of an item, which the caller checks: a worker may have another version.

    Raises:
        MelanomaError: Beam is not installed, an option has another form, the pipeline fails, or
            results are missing, damaged or not those of the workers.
    """
    try:
        beam = importlib.import_module("apache_beam")
    except ImportError:
        raise MelanomaError(
            "expected apache-beam for the runner beam; it is not installed: "
            "pip install 'melanoma-tf[beam]'"
        ) from None
    work = folder / f"beam-{secrets.token_hex(4)}"
    work.mkdir()
    key = secrets.token_bytes(32)
    try:
        _run(beam, task, items, work.resolve(), key, options)
        yield from _in_order(work, len(items), key)
    finally:
        # A worker whose bundle was given to another one may still write there.
        shutil.rmtree(work, ignore_errors=True)


def pipeline_arguments(options: Sequence[str]) -> list[str]:
    """Turn `KEY=VALUE` options into Beam's arguments.

    Raises:
        MelanomaError: one has another form.

    Example:
        >>> pipeline_arguments(["runner=FlinkRunner", "save_main_session="])
        ['--runner=FlinkRunner', '--save_main_session']
    """
    arguments = []
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key.isidentifier():
            raise MelanomaError(f"expected KEY=VALUE as an option of Beam; found {option!r}")
        arguments.append(f"--{key}={value}" if value else f"--{key}")
    return arguments


def _run(
    beam: Any,
    task: Task,
    items: Sequence[Any],
    work: Path,
    key: bytes,
    options: Sequence[str],
) -> None:
    arguments = pipeline_arguments(options)
    make_options = importlib.import_module("apache_beam.options.pipeline_options").PipelineOptions
    worker = importlib.import_module("melanoma_tf.core.beam_worker")
    try:
        with beam.Pipeline(options=make_options(arguments)) as pipeline:
            # Without it, some runners would keep all items on one worker.
            numbered = pipeline | beam.Create(list(enumerate(items)))
            write = worker.WriteResults(task, str(work), key)
            numbered | beam.Reshuffle() | beam.ParDo(write)
    except Exception as error:  # Each runner raises what it likes; the reason is in its last line.
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise MelanomaError(
            f"the pipeline of Apache Beam failed: {reason.strip() or type(error).__name__}"
        ) from error


def write_result(stream: BinaryIO, key: bytes, index: int, parts: Sequence[bytes]) -> None:
    """Append the result of an item to a file of results."""
    lengths = b"".join(map(_COUNT.pack, map(len, parts)))
    content = b"".join((_COUNT.pack(len(parts)), lengths, *parts))
    stream.write(_HEAD.pack(index, len(content), _checksum(key, index, content)) + content)


def finish(partial: Path) -> None:
    """Give the file of a bundle that is done its name."""
    os.replace(partial, partial.with_suffix(_DONE))


def _checksum(key: bytes, index: int, content: bytes) -> bytes:
    head = _COUNT.pack(index)
    return hashlib.blake2b(head + content, key=key, digest_size=_CHECKSUM_BYTES).digest()


def _in_order(work: Path, count: int, key: bytes) -> Generator[list[bytes], None, None]:
    """Yield the results of the files; that of one item is in memory at a time."""
    places: dict[int, tuple[Path, int]] = {}
    for path in sorted(work.glob(f"*{_DONE}")):
        for index, start in _places(path):
            places.setdefault(index, (path, start))
    absent = sum(index not in places for index in range(count))
    if absent:
        raise MelanomaError(
            f"expected results of {count} items from Apache Beam in {work}; found "
            f"{count - absent}: do the workers share this folder?"
        )
    for index in range(count):
        path, start = places[index]
        with path.open("rb") as stream:
            yield _read(stream, start, key)


def _places(path: Path) -> Iterator[tuple[int, int]]:
    """Index and start of each result in a file, as far as it is whole."""
    with path.open("rb") as stream:
        start, size = 0, os.fstat(stream.fileno()).st_size
        while len(head := stream.read(_HEAD.size)) == _HEAD.size:
            index, length, _ = _HEAD.unpack(head)
            yield index, start
            start += _HEAD.size + length
            if start > size:  # `_read` finds it damaged.
                return
            stream.seek(start)


def _read(stream: BinaryIO, start: int, key: bytes) -> list[bytes]:
    size = os.fstat(stream.fileno()).st_size
    stream.seek(start)
    index, length, checksum = _HEAD.unpack(stream.read(_HEAD.size))
    # A length that is no true one must not make this process allocate it.
    content = stream.read(min(length, size))
    is_whole = len(content) == length
    if not is_whole or not hmac.compare_digest(_checksum(key, index, content), checksum):
        raise MelanomaError(
            f"{stream.name}: expected results of the workers; found a damaged one, or that of "
            "another program"
        )
    (count,) = _COUNT.unpack_from(content)
    lengths = struct.unpack_from(f"<{count}Q", content, _COUNT.size)
    at, parts = _COUNT.size * (1 + count), []
    for each in lengths:
        parts.append(content[at : at + each])
        at += each
    return parts
