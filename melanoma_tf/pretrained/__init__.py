"""The small trained networks that ship with the package, each with its model card and settings.

`NAME.npz` holds the weights as float16, `NAME.json` the settings, `NAME.md` the card. The tasks
build the networks: `segmentation.shipped`, `purification.shipped`. `NAME_graph.npz` holds a traced
graph, which needs no building, see `pretrained.graphs`. The classifier is a run folder, with
`config.json`, `weights.npz` and `calibration.json`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_tf.core.arrays import read_arrays, write_arrays
from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.core.settings import SHIPPED

if TYPE_CHECKING:
    from melanoma_tf.core.keras import keras


_CLASSIFIER = "classifier"


def shipped_folder() -> Path:
    """The folder of the networks that ship with the package."""
    return Path(str(resources.files(__name__)))


def classifier_run(run_dir: str | Path) -> Path:
    """Return the folder of a classifier run; `shipped` is the one that ships with the package.

    Example:
        >>> (classifier_run("shipped") / "weights.npz").is_file()
        True
    """
    return shipped_folder() / _CLASSIFIER if str(run_dir) == SHIPPED else Path(run_dir)


def is_shipped(run_dir: Path) -> bool:
    """Tell whether a run is part of the package: nothing may be written into its folder."""
    return Path(run_dir) == shipped_folder() / _CLASSIFIER


def read_settings(folder: Path, name: str) -> dict[str, Any]:
    """The content of `NAME.json`.

    Raises:
        MelanomaError: the file is absent, or not JSON.
    """
    settings: dict[str, Any] = read_json(folder / f"{name}.json")
    return settings


def read_weights(model: keras.Model, folder: Path, name: str) -> None:
    """Give a network the weights in `NAME.npz`, and stop them from being trained.

    Raises:
        MelanomaError: no such file, a damaged one, or one of another network.
    """
    keys = _keys(len(model.weights))
    shapes = {key: tuple(weight.shape) for key, weight in zip(keys, model.weights)}
    stored = read_arrays(folder / f"{name}.npz", shapes)
    model.set_weights([stored[key].astype(np.float32) for key in keys])
    model.trainable = False


def write_network(model: keras.Model, folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Write a network's weights as float16, and its settings, as they ship.

    Args:
        model: the network.
        folder: gets `NAME.npz` and `NAME.json`.
        name: of the network.
        settings: JSON values by which its task builds it again.
    """
    values = model.get_weights()
    stored = {key: value.astype(np.float16) for key, value in zip(_keys(len(values)), values)}
    write_arrays(folder / f"{name}.npz", stored, compressed=True)
    write_json(folder / f"{name}.json", settings)


def _keys(count: int) -> list[str]:
    return [f"weight_{index:03d}" for index in range(count)]
