"""Starting a training from the weights of another run."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras


def start_from(model: keras.Model, path: Path) -> None:
    """Give a model the weights of a `model.keras` of the same network.

    Raises:
        MelanomaError: no such file, or one of other layers.
    """
    if path.suffix != ".keras" or not path.is_file():
        raise MelanomaError(f"expected --weights none or another run's model.keras; found {path}")
    donor = keras.models.load_model(path, compile=False)
    shapes = [[weight.shape for weight in one.weights] for one in (donor, model)]
    if shapes[0] != shapes[1]:
        raise MelanomaError(f"{path}: expected a network of the same layers as this run's")
    model.set_weights(donor.get_weights())


def input_files(*names: str) -> tuple[Path, ...]:
    """Those of some settings that name a file or folder; `none`, `imagenet`, ... name none."""
    return tuple(path for path in map(Path, names) if path.exists())
