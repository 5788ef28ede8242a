"""A process that ends a training which waits for other workers for too long.

    python -m melanoma_tf.training.guard PID SECONDS ADDRESS...

It must be a process of its own: while TensorFlow waits for a worker, no Python code of the training
runs, not even in another thread. Each byte on the standard input is progress; its end is the end
of the training.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

_CONNECT_SECONDS = 2.0
_READ_BYTES = 65536


def guard(pid: int, timeout_s: float, addresses: Sequence[str]) -> int:
    """Wait for the end of a training; end it where it makes no progress.

    Args:
        pid: of the training.
        timeout_s: seconds without progress.
        addresses: `host:port` of the other workers, to say which do not answer.

    Returns:
        The exit code: 1 where the training was ended.
    """
    while select.select([sys.stdin], [], [], timeout_s)[0]:
        if not os.read(sys.stdin.fileno(), _READ_BYTES):
            return 0
    print(f"Error: {reason(timeout_s, addresses)}", file=sys.stderr, flush=True)
    with contextlib.suppress(ProcessLookupError):  # It has just ended by itself.
        os.kill(pid, signal.SIGKILL)  # TensorFlow takes SIGTERM for a notice, and stays.
    return 1


def reason(timeout_s: float, addresses: Sequence[str]) -> str:
    """What is said, in one line."""
    silent = [each for each in addresses if not _answers(each)]
    which = f"no answer from {', '.join(silent)}" if silent else "all of them answer"
    return (
        f"waited {timeout_s:g} s (--worker-timeout) for the other workers: {which}. Start every "
        "worker again with --resume"
    )


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
