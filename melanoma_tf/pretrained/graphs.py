"""Traced graphs of the networks that ship.

To build a network by Keras and to trace it takes ten seconds and more; to read a graph takes a
third of one. `NAME_graph.npz` holds a traced computation without the weights of its networks, which
come from their own files. `scripts/ship_network.py` writes it. A graph says which files it was made
from: where one of them has changed since, it is not used.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_tf.core.files import write_atomically

# Smaller constants stay in the graph.
_LEAST_BYTES = 64


def write_graph(function: Any, folder: Path, name: str, networks: Sequence[str]) -> None:
    """Write a traced computation into `NAME_graph.npz`.

    Args:
        function: a concrete function of tensors.
        folder: holds the networks' `.npz` and `.json`, and gets the graph.
        name: of the graph.
        networks: names of the networks whose weights the function reads, as they are in `folder`.
    """
    # Of TensorFlow's own modules this one is in use by its converters, without a public name.
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    graph = frozen.graph.as_graph_def()
    known = {
        values.tobytes(): [network, key]
        for network in networks
        for key, values in _weights(folder, network).items()
    }
    taken: list[list[str]] = []
    for place, node in _large_constants(graph):
        source = known.get(tf.make_ndarray(node.attr["value"].tensor).tobytes())
        if source is not None:
            node.attr["value"].tensor.tensor_content = b""
            taken.append([*place, *source])
    header = {
        "inputs": [tensor.name for tensor in frozen.inputs],
        "outputs": [tensor.name for tensor in frozen.outputs],
        "weights": taken,
        "made_from": _digests(folder, networks),
    }
    content = io.BytesIO()
    np.savez_compressed(
        content,
        graph=np.frombuffer(graph.SerializeToString(deterministic=True), np.uint8),
        header=np.frombuffer(json.dumps(header).encode(), np.uint8),
    )
    write_atomically(_path(folder, name), content.getvalue())


def read_graph(folder: Path, name: str) -> Any | None:
    """Read what `write_graph` wrote.

    Returns:
        A concrete function, for any number of threads; None where there is no such graph, or one
        of other networks than those in `folder`: they were replaced since.
    """
    path = _path(folder, name)
    if not path.is_file():
        return None
    with np.load(path) as stored:
        header = json.loads(stored["header"].tobytes())
        serialized = stored["graph"].tobytes()
    networks = list(header["made_from"])
    if header["made_from"] != _digests(folder, networks):
        return None
    graph = tf.compat.v1.GraphDef.FromString(serialized)
    weights = {network: _weights(folder, network) for network in networks}
    constants = dict(_large_constants(graph))
    for function, node, network, key in header["weights"]:
        tensor = constants[function, node].attr["value"].tensor
        tensor.tensor_content = weights[network][key].tobytes()
    return _wrapped(graph, header["inputs"], header["outputs"])


def _wrapped(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """A concrete function of a graph.

    Its placeholders are replaced while it is imported: to prune an imported graph to what lies
    between inputs and outputs copies it node by node, which takes longer than all else here.
    """
    nodes = {node.name: node for node in graph.node}
    placeholders = [nodes[name.partition(":")[0]] for name in inputs]
    specs = [
        tf.TensorSpec(
            tf.TensorShape(node.attr["shape"].shape), tf.as_dtype(node.attr["dtype"].type)
        )
        for node in placeholders
    ]
    for node in placeholders:
        graph.node.remove(node)

    def imported(*tensors: tf.Tensor) -> list[tf.Tensor]:
        return tf.graph_util.import_graph_def(graph, dict(zip(inputs, tensors)), outputs, name="")

    return tf.compat.v1.wrap_function(imported, specs)


def _large_constants(graph: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """Constants by the name of their function, empty for the graph itself, and their own name."""
    functions = [("", graph.node)]
    functions += [(each.signature.name, each.node_def) for each in graph.library.function]
    for function, nodes in functions:
        for node in nodes:
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
                sides = node.attr["value"].tensor.tensor_shape.dim
                if 4 * np.prod([side.size for side in sides]) >= _LEAST_BYTES:
                    yield (function, node.name), node


def _weights(folder: Path, network: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{network}.npz") as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def _digests(folder: Path, networks: Sequence[str]) -> dict[str, list[str]]:
    return {
        network: [
            hashlib.sha256((folder / f"{network}.{ending}").read_bytes()).hexdigest()
            for ending in ("npz", "json")
        ]
        for network in networks
    }


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}_graph.npz"
