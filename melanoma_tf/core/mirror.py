"""Local copies of remote data sets: photographs, masks and tables as they are."""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path

from melanoma_tf.core.cache import DATA, entry, make_room
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.remote import (
    RemoteFile,
    describe_files,
    fetch_file,
    in_parallel,
    list_files,
)
from melanoma_tf.core.urls import full_url, public_url

_LOG = logging.getLogger("melanoma_tf.remote")


def mirrored(folder: Path) -> Path:
    """Copy a remote folder into the cache, and return the local folder, which holds all its files.

    Files that are there already in the same version are kept; those that the remote folder no
    longer has are removed. The folder stays for as long as this process lives, see `core.cache`.

    Raises:
        MelanomaError: the folder has no files, one cannot be fetched, or the cache is full.
    """
    shown = public_url(folder)
    files = list(list_files(folder).values())
    if not files:
        raise MelanomaError(f"expected a folder with files at {shown}; found none")
    if full_url(folder).startswith("http"):
        files = describe_files(folder, [file.name for file in files])
    copy = entry(DATA, shown) / (folder.name or "data")
    _remove_others(copy, files)
    absent = [file for file in files if not _is_same(copy / file.name, file)]
    size_bytes = sum(file.size_bytes or 0 for file in absent)
    make_room(size_bytes, shown)
    if absent:
        _LOG.warning(
            "fetching %s files (%.1f MB) of %s into %s",
            f"{len(absent):,}", size_bytes / 1e6, shown, copy,
        )  # fmt: skip

    def fetch(file: RemoteFile) -> None:
        target = copy / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        fetch_file(folder, file.name, target, size_bytes=file.size_bytes)
        os.utime(target, ns=(_time_of(file), _time_of(file)))

    in_parallel(fetch, absent)
    return copy


def _is_same(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or not file.version:
        return False
    status = path.stat()
    return status.st_size == file.size_bytes and status.st_mtime_ns == _time_of(file)


def _time_of(file: RemoteFile) -> int:
    """A time that stands for the version of a file, by which a build sees what has changed."""
    return zlib.crc32(file.version.encode()) * 10**9


def _remove_others(copy: Path, files: list[RemoteFile]) -> None:
    known = {copy / file.name for file in files}
    for path in copy.rglob("*"):
        if path.is_file() and path not in known:
            path.unlink()
