"""Work on items by Apache Beam: on this machine, or on workers that share its drive.

Workers write their results into files of a folder that they share with this process, one file for
each bundle, which gets its name when the bundle is done. A bundle that a runner repeats writes the
same results again, and the first of them counts. So nothing depends on the runner.
"""

from __future__ import annotations

import importlib
import os
import pickle
import secrets
import struct
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from melanoma_tf.core.errors import MelanomaError

# Index of the item, length of its results, and their checksum.
_HEAD = struct.Struct("<QQI")
_DONE = ".results"


def flat_map_on_beam(
    task: Callable[[Any], Iterable[Any]],
    items: Sequence[Any],
    folder: Path,
    options: Sequence[str] = (),
) -> Generator[Any, None, None]:
    """Apply a task to items by Apache Beam, and yield the results in the order of the items.

    Args:
        task: gives some results for an item; both sides pickle it, its items and its results.
        items: what to work on; the paths in it must exist on the workers too.
        folder: an existing folder for the results, the same on all workers; they are removed from
            it at the end.
        options: of Beam, as `runner=FlinkRunner`.

    Raises:
        MelanomaError: Beam is not installed, an option has another form, the pipeline fails, or
            results are missing.
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
    try:
        _run(beam, task, items, work.resolve(), options)
        yield from _in_order(work, len(items))
    finally:
        for path in work.iterdir():
            path.unlink()
        work.rmdir()


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
    task: Callable[[Any], Iterable[Any]],
    items: Sequence[Any],
    work: Path,
    options: Sequence[str],
) -> None:
    arguments = pipeline_arguments(options)
    make_options = importlib.import_module("apache_beam.options.pipeline_options").PipelineOptions
    worker = importlib.import_module("melanoma_tf.core.beam_worker")
    try:
        with beam.Pipeline(options=make_options(arguments)) as pipeline:
            # Without it, some runners would keep all items on one worker.
            numbered = pipeline | beam.Create(list(enumerate(items)))
            numbered | beam.Reshuffle() | beam.ParDo(worker.WriteResults(task, str(work)))
    except Exception as error:  # Each runner raises what it likes; the reason is in its last line.
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise MelanomaError(
            f"the pipeline of Apache Beam failed: {reason.strip() or type(error).__name__}"
        ) from error


def write_results(stream: BinaryIO, index: int, results: list[Any]) -> None:
    """Append the results of an item to a file of results."""
    content = pickle.dumps(results, protocol=4)
    stream.write(_HEAD.pack(index, len(content), zlib.crc32(content)) + content)


def finish(partial: Path) -> None:
    """Give the file of a bundle that is done its name."""
    os.replace(partial, partial.with_suffix(_DONE))


def _in_order(work: Path, count: int) -> Generator[Any, None, None]:
    """Yield the results of the files; those of one item are in memory at a time."""
    places: dict[int, tuple[Path, int]] = {}
    for path in sorted(work.glob(f"*{_DONE}")):
        with path.open("rb") as stream:
            while head := stream.read(_HEAD.size):
                start = stream.tell() - _HEAD.size
                index, length, _ = _HEAD.unpack(head)
                places.setdefault(index, (path, start))
                stream.seek(length, os.SEEK_CUR)
    if len(places) != count:
        raise MelanomaError(
            f"expected results of {count} items from Apache Beam in {work}; found {len(places)}: "
            "do the workers share this folder?"
        )
    for index in range(count):
        path, start = places[index]
        with path.open("rb") as stream:
            yield from _read(stream, start)


def _read(stream: BinaryIO, start: int) -> Generator[Any, None, None]:
    stream.seek(start)
    _, length, checksum = _HEAD.unpack(stream.read(_HEAD.size))
    content = stream.read(length)
    if zlib.crc32(content) != checksum:
        raise MelanomaError(f"{stream.name}: expected whole results; found a damaged one")
    yield from pickle.loads(content)
