"""A training that waits for too long is ended from outside, in one line."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture
def training():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def guard(training, seconds, *addresses):
    return subprocess.Popen(
        [sys.executable, "-m", "melanoma_tf.training.guard", str(training.pid), str(seconds),
         *addresses],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
    )  # fmt: skip


def test_a_training_without_progress_is_ended(training):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        present = f"127.0.0.1:{other.getsockname()[1]}"
        process = guard(training, 0.2, present, "127.0.0.1:9", "no.such.host.invalid:1")
        assert training.wait(timeout=60) == -signal.SIGKILL
        said = process.stderr.read().decode()
    assert process.wait() == 1
    assert said == (
        "Error: waited 0.2 s (--worker-timeout) for the other workers: no answer from "
        "127.0.0.1:9, no.such.host.invalid:1. Start every worker again with --resume\n"
    )
    process.stdin.close()
    process.stderr.close()


def test_progress_and_an_end_are_respected(training):
    process = guard(training, 30)
    for _ in range(3):
        process.stdin.write(b".")
        time.sleep(0.05)
    _, said = process.communicate()
    assert process.returncode == 0
    assert said == b""
    assert training.poll() is None
