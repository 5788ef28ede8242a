"""Messages that C libraries write to the error stream past Python.

libjpeg and DCMTK print a line for each oddity of a file, in the middle of a progress bar. What
matters of it, this tool says itself. The command line moves Python's own error stream to another
descriptor, and the second descriptor, which C libraries use, is silenced while they decode.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator

_STDERR = 2
_lock = threading.Lock()
_users = 0
# The descriptors of the error stream and of the void, once Python has a stream of its own.
_descriptors: tuple[int, int] | None = None


def separate_python_stderr() -> None:
    """Give Python's error stream a descriptor of its own, which `quiet_native_stderr` needs.

    Does nothing where the stream is not the process's own, as under a test runner.
    """
    global _descriptors
    stream = sys.__stderr__
    if _descriptors is not None or stream is None or sys.stderr is not stream:
        return
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        return
    if descriptor != _STDERR:
        return
    stream.flush()
    sys.stderr = os.fdopen(
        os.dup(_STDERR), "w", buffering=1, encoding=stream.encoding, errors="backslashreplace"
    )
    _descriptors = (os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY))


@contextlib.contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Drop what C libraries write to the error stream, in all threads, while the body runs.

    In a program without `separate_python_stderr` nothing is dropped: its own lines might be lost.
    """
    global _users
    if _descriptors is None:
        yield
        return
    stderr, void = _descriptors
    with _lock:
        if not _users:
            os.dup2(void, _STDERR)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                os.dup2(stderr, _STDERR)
