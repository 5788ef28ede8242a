"""The weights of a network as a file of arrays.

A file never says what a network is: that is built from the settings of its run. It gives arrays
only, whose names and shapes must be those of the network.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from melanoma_tf.core.arrays import array_names, read_arrays, write_arrays
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

_KERAS_ARCHIVE, _KERAS_WEIGHTS = ".keras", "model.weights.h5"
_FORMS = (".npz", _KERAS_ARCHIVE, ".weights.h5")


def named_weights(network: keras.Model) -> dict[str, tf.Variable]:
    """The variables of a network by the names that `write_weights` stores them under.

    A name is the place in the network and the variable's own, as `0003/kernel`: Keras counts the
    names of layers up in a process. Whether a layer is frozen changes nothing.
    """
    found: dict[int, tf.Variable] = {}
    for layer in network._flatten_layers():
        if not isinstance(layer, keras.metrics.Metric):
            for variable in layer._trainable_weights + layer._non_trainable_weights:
                found.setdefault(id(variable), variable)
    return {
        f"{index:04d}/{variable.name.rsplit('/', 1)[-1].split(':', 1)[0]}": variable
        for index, variable in enumerate(found.values())
    }


def write_weights(network: keras.Model, path: Path) -> None:
    """Write the weights of a network, atomically; equal weights give equal bytes."""
    weights = named_weights(network)
    values = keras.backend.batch_get_value(list(weights.values()))
    write_arrays(path, dict(zip(weights, values)))


def read_weights(network: keras.Model, path: Path) -> None:
    """Give a network the weights of a file.

    Args:
        network: built from settings.
        path: what `write_weights` wrote; or, of an earlier version or of Keras, a `.keras` archive
            or `.weights.h5` file, of which nothing but the arrays is read.

    Raises:
        MelanomaError: no such file, a damaged one, or the weights of another network.
    """
    if not path.name.endswith(_FORMS):
        raise MelanomaError(f"expected weights as one of {', '.join(_FORMS)}; found {path}")
    if path.suffix != ".npz":
        _read_from_keras(network, path)
        return
    weights = named_weights(network)
    _refuse_other_names(path, array_names(path), list(weights))
    _assign(weights, read_arrays(path, _shapes(weights)))


def read_backbone_weights(backbone: keras.Model, path: Path) -> None:
    """Give a backbone the weights of a classifier's file; the classes may be other ones.

    Args:
        backbone: a network without its head.
        path: what `write_weights` wrote of a classifier with that backbone.

    Raises:
        MelanomaError: as `read_weights`.
    """
    weights = named_weights(backbone)
    head = [f"{len(weights) + place:04d}/{name}" for place, name in enumerate(("kernel", "bias"))]
    _refuse_other_names(path, array_names(path), [*weights, *head])
    _assign(weights, read_arrays(path, _shapes(weights)))


def is_of_run(path: Path) -> bool:
    """Tell whether a `.npz` file is one that `write_weights` wrote."""
    return all(name.split("/")[0].isdecimal() for name in array_names(path))


def _shapes(weights: dict[str, tf.Variable]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(variable.shape) for name, variable in weights.items()}


def _assign(weights: dict[str, tf.Variable], arrays: dict[str, np.ndarray]) -> None:
    keras.backend.batch_set_value([(weights[name], value) for name, value in arrays.items()])


def _refuse_other_names(path: Path, found: list[str], expected: list[str]) -> None:
    if len(set(found)) != len(found) or set(found) != set(expected):
        missing = sorted(set(expected) - set(found))
        unknown = sorted(set(found) - set(expected))
        wrong = f"no {missing[0]}" if missing else f"{(unknown or ['an array twice'])[0]} too"
        raise MelanomaError(
            f"{path}: expected a network of the same layers as this run's, with {len(expected)} "
            f"arrays; found {len(found)}, {wrong}"
        )


def _read_from_keras(network: keras.Model, path: Path) -> None:
    refuse_linked_hdf5(path)
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MelanomaError(
            f"{path}: expected a network of the same layers as this run's; found {_first(error)}"
        ) from None
    if not all(np.isfinite(value).all() for value in network.get_weights()):
        raise MelanomaError(f"{path}: expected finite weights; found others")


def refuse_linked_hdf5(path: Path) -> None:
    """Raise `MelanomaError` unless an HDF5 file holds its own arrays, without reading them.

    HDF5 may take data from other files, by links, by external storage or by virtual data sets: a
    stranger's weights must not.

    Args:
        path: an HDF5 file, or a `.keras` archive with one in it.
    """
    try:
        if path.suffix == _KERAS_ARCHIVE:
            with zipfile.ZipFile(path) as archive:
                content = io.BytesIO(archive.read(_KERAS_WEIGHTS))
            with h5py.File(content, "r") as file:
                _refuse_links(file, path)
        else:
            with h5py.File(path, "r") as file:
                _refuse_links(file, path)
    except FileNotFoundError:
        raise MelanomaError(f"expected a file of weights; {path} does not exist") from None
    except (OSError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
        raise MelanomaError(f"{path}: expected a file of weights; found {_first(error)}") from None


def _refuse_links(file: h5py.File, path: Path) -> None:
    def check(item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):
            links = (item.get(name, getlink=True) for name in item)
            foreign = not all(isinstance(link, h5py.HardLink) for link in links)
        else:
            foreign = bool(item.external) or item.is_virtual
        if foreign:
            raise MelanomaError(
                f"{path}: expected arrays of the file's own; found {item.name}, which takes them "
                "from elsewhere"
            )

    check(file)
    file.visititems(lambda _, item: check(item))


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
