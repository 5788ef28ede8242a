"""Train a tiny network as one of several workers: `python -m tests.faults.worker RECORDS RUN ...`.

With DIE_IN_EPOCH=N, the second worker kills itself in the second step of that epoch.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from melanoma_tf.core.errors import in_one_line
from melanoma_tf.core.keras import keras
from melanoma_tf.training.workers import visible_workers
from tests.training.test_training import compile_with_all_metrics, train


class Death(keras.callbacks.Callback):
    """Kills the process in a step of an epoch."""

    def __init__(self, epoch: int):
        super().__init__()
        self._dies, self._epoch = epoch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._epoch + 1 == self._dies and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def main(records: str, run_dir: str, *options: str) -> int:
    changes = {"compile": compile_with_all_metrics, "monitor": "val_auc"}
    if "DIE_IN_EPOCH" in os.environ and visible_workers().index == 1:
        changes["previews"] = lambda folder: [Death(int(os.environ["DIE_IN_EPOCH"]))]
    settings = dict(option.split("=") for option in options if "=" in option)
    try:
        train(
            Path(records), Path(run_dir), job=changes, log=lambda line: print(line, flush=True),
            resume="resume" in options, **{name: int(value) for name, value in settings.items()},
        )  # fmt: skip
    except Exception as error:
        print(f"Error: {in_one_line(error) or repr(error)}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
