"""Starting a training from the weights of another run."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.training.run_record import WEIGHTS
from melanoma_tf.training.weights import is_of_run, read_weights


def start_from(model: keras.Model, path: Path) -> None:
    """Give a network the weights of another run, which trained the same layers.

    Raises:
        MelanomaError: no such file, or one of other layers.
    """
    if not path.is_file():
        raise MelanomaError(f"expected --weights none or another run's {WEIGHTS}; found {path}")
    read_weights(model, path)


def is_converted(path: Path) -> bool:
    """Tell whether a file has weights that a script converted, and is of no run.

    Raises:
        MelanomaError: a `.npz` file that is damaged.
    """
    return path.suffix == ".npz" and not (path.is_file() and is_of_run(path))


def input_files(*names: str) -> tuple[Path, ...]:
    """Those of some settings that name a file or folder; `none`, `imagenet`, ... name none."""
    return tuple(path for path in map(Path, names) if path.exists())
