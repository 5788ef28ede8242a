"""Files that are whole or absent: written aside, then renamed; and JSON."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError

PARTIAL = ".partial"
CHECKSUM = "checksum"  # The key of it in a JSON object.
_LONGEST_NAME, _KEPT_OF_NAME = 200, 40
_WILDCARDS = frozenset("*?[]\\")


def write_atomically(path: Path, content: bytes | str, *, sync: bool = True) -> None:
    """Write a file next to `path` and rename it, so that no reader ever sees half of it.

    Permissions are never changed: some drives refuse that.

    Args:
        path: of the file; its folder is made.
        content: bytes, or text that is encoded as UTF-8.
        sync: wait until the drive has it. Without, a failure of power can leave an empty file;
            whoever writes many calls `sync_files` once in the end, which is much faster.
    """
    payload = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden_sibling(path, secrets.token_hex(4) + PARTIAL)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        # Tells `remove_partial` that this process lives; some drives know no locks.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_files(paths: Iterable[Path]) -> None:
    """Wait until the drive has these files."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def hidden_sibling(path: Path, ending: str) -> Path:
    """A hidden name next to a path, `.NAME.ending`; a name too long for that is shortened."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:_KEPT_OF_NAME]}{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return path.with_name(f".{name}.{ending}")


def partial_siblings(path: Path, ending: str) -> list[Path]:
    """Find the hidden siblings of a path with some ending, see `hidden_sibling`."""
    if not path.parent.is_dir():
        return []
    start = hidden_sibling(path, "").name
    with os.scandir(path.parent) as entries:
        names = [each.name for each in entries if each.name.startswith(start)]
    return [path.with_name(name) for name in sorted(names) if name.endswith(ending)]


def remove_partial(path: Path) -> None:
    """Remove what killed processes left of a file that they were writing."""
    for leftover in partial_siblings(path, PARTIAL):
        if not leftover.is_file() or leftover.is_symlink():
            continue
        with leftover.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # A process writes it now, or the drive knows no locks.
                continue
            leftover.unlink(missing_ok=True)


def is_partial(name: str) -> bool:
    """Tell whether a name is that of something which a killed process did not finish."""
    return name.startswith(".") and name.endswith(PARTIAL)


def json_text(payload: Any) -> str:
    """`payload` as indented JSON; NaN is refused, since JSON has none."""
    return json.dumps(payload, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, payload: Any) -> None:
    """Write `payload` as JSON, atomically, see `json_text`."""
    write_atomically(path, json_text(payload))


def read_json(path: Path) -> Any:
    """Parse a JSON file; a missing or broken one is a one-line `MelanomaError`."""
    refuse_special(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MelanomaError(f"expected the file {path}; it does not exist") from None
    return parse_json(content, str(path))


def write_checked_json(path: Path, payload: Mapping[str, Any]) -> None:
    """Write an object as JSON, atomically, with a checksum for `read_checked_json`."""
    write_json(path, {**payload, CHECKSUM: _checksum(payload)})


def read_checked_json(path: Path) -> Any:
    """Parse a JSON file that `write_checked_json` wrote; the checksum is not in what is returned.

    Files without one, as earlier versions wrote them, are read as they are.

    Raises:
        MelanomaError: a missing or broken file, or another content than was written.
    """
    return checked(read_json(path), str(path))


def checked(payload: Any, where: str) -> Any:
    """Compare JSON values with their checksum, if they have one, and return them without it.

    Raises:
        MelanomaError: another content than was written; the line begins with `where`.
    """
    if not isinstance(payload, dict) or CHECKSUM not in payload:
        return payload
    values = {name: value for name, value in payload.items() if name != CHECKSUM}
    if payload[CHECKSUM] != _checksum(values):
        raise MelanomaError(
            f"{where}: expected the content that its {CHECKSUM} was made of; found another: the "
            f"file is damaged, or was edited (to keep an edit of your own, remove its {CHECKSUM})"
        )
    return values


def parse_json(content: bytes, where: str) -> Any:
    """Parse JSON in UTF-8; what is none is a one-line `MelanomaError` that begins with `where`."""
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:  # Also bytes that are no UTF-8, and numbers of 5,000 digits.
        raise MelanomaError(f"{where}: expected JSON, found {error}") from None
    except RecursionError:
        raise MelanomaError(f"{where}: expected JSON, found it nested too deeply") from None


def resolved(path: Path) -> Path:
    """A path without links.

    Raises:
        MelanomaError: links lead in a loop.
    """
    try:
        found = path.resolve()
        # Python 3.13 returns a path that still holds the loop; earlier versions raise.
        is_loop = any(each.is_symlink() for each in (found, *found.parents))
    except RuntimeError:
        is_loop = True
    if is_loop:
        raise MelanomaError(f"expected a path to a file or folder; {path} is a loop of links")
    return found


def refuse_special(path: Path) -> None:
    """Raise `MelanomaError` where a path is a pipe or a device: to read one may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise MelanomaError(f"expected a file at {path}; found a pipe or a device")


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def public_names(paths: Sequence[Path | str]) -> list[str]:
    """Names of paths for files that others get to see: the last part of each.

    Where two are alike, they keep as many parts as tell them apart.

    Example:
        >>> public_names(["/home/me/records/isic", "/home/me/generated/isic", "/home/me/ph2"])
        ['records/isic', 'generated/isic', 'ph2']
    """
    parts = [Path(path).parts or Path(path).resolve().parts[-1:] for path in paths]
    found = []
    for own in parts:
        length = 1
        others = [each for each in parts if each != own]
        while length < len(own) and any(each[-length:] == own[-length:] for each in others):
            length += 1
        found.append("/".join(own[-length:]))
    return found


def public_name(path: Path | str) -> str:
    """The last part of a path, see `public_names`."""
    return public_names([path])[0]


@contextlib.contextmanager
def without_wildcards(folder: Path) -> Iterator[Path]:
    """Yield a path to a folder that TensorFlow cannot take for a pattern.

    It looks for checkpoints and SavedModels by patterns: `fold[1]` would mean `fold1`.

    Args:
        folder: an existing folder; a name without `*?[]` and backslash is yielded as it is.
    """
    if not _WILDCARDS & set(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory() as parent:
        link = Path(parent) / "folder"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link


def _checksum(payload: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON values, whatever the order of their keys."""
    # As they are read back: JSON knows no tuples, and no keys but texts.
    stored = json.loads(json.dumps(payload))
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name}, which JSON has not")
