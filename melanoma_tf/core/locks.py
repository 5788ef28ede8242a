"""One writer for each output: a lock next to it, which the kernel releases when a process ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import hidden_sibling

# Drives that know no locks: a network share, for one. Two writers are then not told apart.
_WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


@contextlib.contextmanager
def locked(output: Path, other: str = "command that writes") -> Iterator[None]:
    """Hold the lock of an output file or folder, in `.NAME.lock` next to it.

    Args:
        output: what is written; its folder exists.
        other: what the holder is, before the name of the output, in words.

    Raises:
        MelanomaError: another process holds it.
    """
    path = hidden_sibling(output, "lock")
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise MelanomaError(f"expected no other {other} {output}; one is running") from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                os.close(handle)
                raise
        # The holder removes the file before it releases the lock: then this lock is void.
        if _is_at(handle, path):
            break
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
