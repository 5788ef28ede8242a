"""The folder, lock and journal of a running build, which can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.outputs import refuse_existing, replace_folder
from melanoma_tf.core.ownership import MARKER, check_replaceable, mark
from melanoma_tf.records.manifest import Count, Shard
from melanoma_tf.records.shards import Finished, Skipped, restore_names

_JOURNAL = "journal.jsonl"


class UnfinishedBuild:
    """The folder of a running build.

    Attributes:
        folder: folder of its shards.
        finished: the complete shards, including those of an earlier attempt.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.finished: list[Finished] = []
        self._path = folder / _JOURNAL
        if resume and self._path.is_file():
            self._read(header)
        else:
            if folder.exists():
                check_replaceable(folder)
                shutil.rmtree(folder)
            folder.mkdir()
            mark(folder, ("*",))
            self._append(dict(header))

    def append(self, entry: Finished) -> None:
        """Record that a shard is complete on disk."""
        self._append(dataclasses.asdict(entry))
        self.finished.append(entry)

    def publish(self, output: Path) -> None:
        """Move the folder to `output`."""
        self._path.unlink()
        mark(self.folder)
        replace_folder(self.folder, output)

    def _append(self, row: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self, header: Mapping[str, Any]) -> None:
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        # A kill in the middle of a line leaves an incomplete one: that shard is written again.
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        if not whole:
            raise MelanomaError(
                f"{self._path}: expected a build to resume, found none; build without --resume"
            )
        _refuse_other(whole[0], json.loads(json.dumps(header)))
        restore_names(self.folder)
        self.finished = [_from_json(row) for row in whole[1:]]
        known = {_JOURNAL, MARKER} | {entry.shard.name for entry in self.finished}
        for path in self.folder.iterdir():
            if path.name not in known:
                path.unlink()
        for entry in self.finished:
            path = self.folder / entry.shard.name
            if not path.is_file() or path.stat().st_size != entry.shard.size_bytes:
                raise MelanomaError(
                    f"{path}: expected the finished shard that the journal names; build without "
                    "--resume"
                )
        self._path.write_text("".join(json.dumps(row) + "\n" for row in whole), encoding="utf-8")


def unfinished_folder(output: Path) -> Path:
    """Return the folder of a build of `output` until it is published."""
    return output.parent / f".{output.name}.unfinished"


@contextlib.contextmanager
def unfinished_build(
    output: Path, header: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> Iterator[UnfinishedBuild]:
    """Yield the folder of a build, and publish it as `output` at the end.

    If the body raises, finished shards are kept for `resume`; otherwise the folder is deleted.

    Args:
        output: the folder to create.
        header: JSON values that determine the content; a build is resumed with equal ones only.
        resume: continue after the finished shards of an interrupted build, if there is one.
        overwrite: replace an existing `output` once the new one is complete.

    Raises:
        MelanomaError: `output` exists and `overwrite` is false, another build of it runs, or the
            interrupted build had another header.
    """
    refuse_existing(output, overwrite)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MelanomaError(
            f"{output.parent}: expected a folder that can be created; {error.strerror}"
        ) from None
    with _locked(output):
        # Again, since another build may have ended just before the lock was released.
        refuse_existing(output, overwrite)
        folder = unfinished_folder(output)
        build = UnfinishedBuild(folder, header, resume=resume)
        try:
            yield build
            build.publish(output)
        except BaseException:
            if not build.finished:
                shutil.rmtree(folder, ignore_errors=True)
            raise


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Hold the lock of a build; the kernel releases it when the process ends."""
    path = output.parent / f".{output.name}.lock"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise MelanomaError(f"expected no other build of {output}; one is running") from None
        # The holder removes the file before it releases the lock: then this lock is void.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            break
        os.close(handle)
    try:
        yield
    finally:
        path.unlink()
        os.close(handle)


def _refuse_other(before: dict[str, Any], now: dict[str, Any]) -> None:
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise MelanomaError(
                f"expected the settings and data of the interrupted build; {name} was "
                f"{before.get(name)!r}, found {now.get(name)!r} (build without --resume)"
            )


def _from_json(row: dict[str, Any]) -> Finished:
    return Finished(
        shard=Shard(**row["shard"]),
        items=row["items"],
        counts=tuple(Count(**count) for count in row["counts"]),
        skipped=tuple(Skipped(**skipped) for skipped in row["skipped"]),
    )
