"""A bounded wait for other workers: TensorFlow itself would wait for a lost one for ever."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from melanoma_tf.core.keras import keras
from melanoma_tf.training.workers import Workers

_CONNECT_SECONDS = 2.0


class Watchdog(keras.callbacks.Callback):
    """Ends this process where the training makes no progress for too long.

    An operation that waits for another worker cannot be interrupted from Python: the process says
    one line and exits with code 1.

    Args:
        workers: of the training.
        timeout_s: seconds without progress.
    """

    def __init__(self, workers: Workers, timeout_s: float):
        super().__init__()
        self._workers, self._timeout = workers, timeout_s
        self._progress = time.monotonic()
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the body runs; does nothing without other workers."""
        if self._workers.count == 1:
            yield
            return
        self.progress()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._over.set()

    def progress(self, *_: Any) -> None:
        """Begin to wait from now on."""
        self._progress = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """A step is progress."""
        self.progress()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """A step of the validation is progress."""
        self.progress()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """A finished epoch is progress."""
        self.progress()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._timeout / 4)):
            if time.monotonic() - self._progress > self._timeout:
                print(f"Error: {self._reason()}", file=sys.stderr, flush=True)
                os._exit(1)

    def _reason(self) -> str:
        silent = [each for each in self._workers.others if not _answers(each)]
        which = f"{', '.join(silent)} does not answer" if silent else "all of them answer"
        return (
            f"waited {self._timeout:g} s (--worker-timeout) for the other workers; {which}. Start "
            "every worker again with --resume"
        )


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False
