"""A bounded wait for other workers: TensorFlow itself would wait for a lost one for ever."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from melanoma_tf.core.keras import keras
from melanoma_tf.training.workers import Workers


class Watchdog(keras.callbacks.Callback):
    """Tells a process that watches this one of its progress, see `training.guard`.

    Args:
        workers: of the training.
        timeout_s: seconds without progress after which this process is ended.
    """

    def __init__(self, workers: Workers, timeout_s: float):
        super().__init__()
        self._workers, self._timeout = workers, timeout_s
        self._guard: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the body runs; does nothing without other workers."""
        if self._workers.count > 1:
            arguments = (str(os.getpid()), str(self._timeout), *self._workers.others)
            self._guard = subprocess.Popen(
                [sys.executable, "-m", "melanoma_tf.training.guard", *arguments],
                stdin=subprocess.PIPE,
                bufsize=0,
            )
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    def progress(self) -> None:
        """Begin to wait from now on."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(b".")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """A step is progress."""
        self.progress()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """A step of the validation is progress."""
        self.progress()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A finished epoch is progress."""
        self.progress()
