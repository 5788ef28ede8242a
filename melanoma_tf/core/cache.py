"""Local copies of remote files, in a folder of bounded size.

`$MELANOMA_TF_CACHE`, by default `~/.cache/melanoma_tf`, holds one folder for each remote data set.
A process holds a shared lock on what it uses. Of the others, those that were not used for longest
are removed where room is needed: no more than `$MELANOMA_TF_CACHE_GB` (100) is ever taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError

FOLDER, LIMIT = "MELANOMA_TF_CACHE", "MELANOMA_TF_CACHE_GB"
# Kinds of copies. What is on its way out is never removed to make room.
RECORDS, DATA, OUTGOING = "records", "data", "outgoing"
_DEFAULT_GB = 100.0
_LOCK = ".lock"
# Left free on the drive, for what else is written there.
_SPARE_BYTES = 2**28
# Locks of the entries that this process uses, until it ends.
_held: dict[Path, int] = {}


def cache_folder() -> Path:
    """The folder of all local copies."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "melanoma_tf"


def entry(kind: str, identity: str) -> Path:
    """Return the folder of a local copy, which stays for as long as this process lives.

    Args:
        kind: what it holds, the name of a folder.
        identity: tells it from others of its kind; only its hash is stored.
    """
    name = hashlib.sha256(identity.encode()).hexdigest()[:32]
    folder = cache_folder() / kind / name
    if folder not in _held:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):  # A drive without locks.
            fcntl.flock(handle, fcntl.LOCK_SH)
        _held[folder] = handle
    folder.mkdir(exist_ok=True)
    os.utime(_lock_of(folder))
    return folder


def make_room(size_bytes: int, what: str) -> None:
    """Remove copies that no process uses, as far as some bytes need it.

    Args:
        size_bytes: to come.
        what: they are, for the error.

    Raises:
        MelanomaError: the limit or the drive does not suffice.
    """
    folder, limit = cache_folder(), _limit_bytes()
    copies = [each for kind in (RECORDS, DATA) for each in folder.glob(f"{kind}/*")]
    sizes = {each: _size(each) for each in copies if each.is_dir()}
    taken = sum(sizes.values())
    for unused in sorted(sizes, key=_last_use):
        short = taken + size_bytes > limit or _free(folder) < size_bytes + _SPARE_BYTES
        if short and _removed(unused):
            taken -= sizes[unused]
    if taken + size_bytes > limit:
        raise MelanomaError(
            f"{what}: expected {_gb(size_bytes)} of the {_gb(limit)} for local copies in {folder}; "
            f"{_gb(taken)} of them are in use. Set {LIMIT} to more"
        )
    if _free(folder) < size_bytes + _SPARE_BYTES:
        raise MelanomaError(
            f"{what}: expected {_gb(size_bytes + _SPARE_BYTES)} of free space for local copies in "
            f"{folder}; found {_gb(_free(folder))}. Set {FOLDER} to a folder on another drive"
        )


def _limit_bytes() -> int:
    text = os.environ.get(LIMIT, str(_DEFAULT_GB))
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise MelanomaError(f"expected a number of gigabytes above 0 as {LIMIT}; found {text!r}")
    return int(limit * 1e9)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)


def _last_use(folder: Path) -> float:
    lock = _lock_of(folder)
    return lock.stat().st_mtime if lock.is_file() else 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # Another process has just renamed it.
            total += path.lstat().st_size
    return total


def _removed(folder: Path) -> bool:
    """Remove a copy unless a process uses it; tell whether it is gone."""
    if folder in _held:
        return False
    handle = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # In use, or a drive without locks.
        return False
    else:
        shutil.rmtree(folder)
        return True
    finally:
        os.close(handle)


def _free(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:,.2f} GB"
