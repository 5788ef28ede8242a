"""Start several workers of one training on this machine, to try it before it goes to a cluster.

    python scripts/launch_workers.py 2 -- melanoma-tf train classifier --records tfrecords/NAME \\
        --run-dir runs/NAME

Each worker gets the same command and its own TF_CONFIG, with ports on loopback. The lines of a
worker begin with its number. Where one fails, the others get a grace period to notice it and are
then ended; the exit code is that of the first that failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

POLL_SECONDS = 0.2


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nothing uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def configurations(count: int) -> list[str]:
    """TF_CONFIG of each worker."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    return [
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


def start(index: int, configuration: str, command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a worker whose lines are printed behind its number."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": configuration, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def forward() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"[{index + 1}] {line}", end="", flush=True)

    threading.Thread(target=forward, daemon=True, name=f"worker {index + 1}").start()
    return process


def wait(processes: Sequence[subprocess.Popen[str]], grace_s: float) -> int:
    """Wait for all workers; return the exit code of the first that failed, or 0."""
    deadline, failed = None, 0
    while any(each.poll() is None for each in processes):
        codes = [each.poll() for each in processes]
        first = next((code for code in codes if code), 0)
        if first and deadline is None:
            failed, deadline = first, time.monotonic() + grace_s
        if deadline is not None and time.monotonic() > deadline:
            for each in processes:
                if each.poll() is None:
                    each.kill()
        time.sleep(POLL_SECONDS)
    return failed or next((each.returncode for each in processes if each.returncode), 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workers", type=int, help="number of workers")
    parser.add_argument("--grace", type=float, default=120.0, metavar="SECONDS",
                        help="time that others get once a worker has failed")  # fmt: skip
    parser.add_argument("command", nargs="+", help="-- melanoma-tf train ...")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error(f"expected at least 1 worker; found {options.workers}")
    # Ended from outside, it ends its workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    processes = [
        start(index, configuration, options.command)
        for index, configuration in enumerate(configurations(options.workers))
    ]
    try:
        code = wait(processes, options.grace)
    finally:
        for each in processes:
            if each.poll() is None:
                each.kill()  # TensorFlow takes SIGTERM for a notice, and stays.
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("worker "):
            thread.join(timeout=5)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
