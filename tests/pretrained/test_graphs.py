"""Traced graphs: they compute what was traced, with the weights that lie next to them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from melanoma_tf.pretrained.graphs import read_graph, write_graph


@pytest.fixture
def shipped(tmp_path):
    """A folder with a network of two weights in half precision, and its graph."""
    rng = np.random.default_rng(0)
    weights = {
        "weight_000": rng.normal(size=(3, 3, 2, 4)).astype(np.float16),
        "weight_001": rng.normal(size=(4, 5)).astype(np.float16),
    }
    np.savez_compressed(tmp_path / "network.npz", **weights)
    (tmp_path / "network.json").write_text(json.dumps({"threshold": 0.5}))
    kernel, matrix = (tf.Variable(tf.cast(values, tf.float32)) for values in weights.values())

    def doubled_until_large(images):
        features = tf.nn.conv2d(images, kernel, 1, "SAME") @ matrix
        return tf.while_loop(
            lambda values: tf.reduce_max(tf.abs(values)) < 1e3, lambda values: (2.0 * values,),
            (features,),
        )[0]  # fmt: skip

    spec = tf.TensorSpec([None, None, None, 2], tf.float32)
    traced = tf.function(lambda images: (doubled_until_large(images), tf.shape(images)))
    write_graph(traced.get_concrete_function(spec), tmp_path, "network", ["network"])
    return tmp_path, traced


def test_a_graph_computes_what_was_traced_for_every_size(shipped):
    folder, traced = shipped
    graph = read_graph(folder, "network")
    for shape in ((1, 8, 9, 2), (3, 20, 5, 2)):
        images = tf.random.stateless_uniform(shape, (1, 2))
        for ours, expected in zip(graph(images), traced(images)):
            np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_the_weights_are_those_of_the_network_not_copies_of_them(shipped):
    folder, _ = shipped
    with np.load(folder / "network_graph.npz") as stored:
        header = json.loads(stored["header"].tobytes())
        serialized = stored["graph"].tobytes()
    assert [entry[2:] for entry in header["weights"]] == [
        ["network", "weight_000"], ["network", "weight_001"],
    ]  # fmt: skip
    with np.load(folder / "network.npz") as stored:
        for name in stored.files:
            assert stored[name].astype(np.float32).tobytes() not in serialized


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_a_graph_of_a_network_that_was_replaced_is_not_used(shipped, ending):
    folder, _ = shipped
    assert read_graph(folder, "network") is not None
    path = folder / f"network.{ending}"
    if ending == "npz":
        np.savez_compressed(path, weight_000=np.zeros((3, 3, 2, 4), np.float16))
    else:
        path.write_text(json.dumps({"threshold": 0.6}))
    assert read_graph(folder, "network") is None


def test_without_a_graph_there_is_none(tmp_path):
    assert read_graph(tmp_path, "network") is None


def test_graphs_that_ship_run_without_keras(run_command):
    """TensorFlow 2.21 imports Keras 3 itself; nothing else is loaded."""
    program = (
        "import sys\n"
        "import tensorflow as tf\n"
        "before = set(sys.modules)\n"
        "from melanoma_tf.pretrained import shipped_folder\n"
        "from melanoma_tf.pretrained.graphs import read_graph\n"
        "segment, purify = (read_graph(shipped_folder(), name)"
        " for name in ('segmenter', 'purification'))\n"
        "side = segment.inputs[0].shape[1]\n"
        "(mask,) = segment(tf.zeros([1, side, side, 3]))\n"
        "image, _ = purify(tf.zeros([32, 32, 3], tf.uint8))\n"
        "print(mask.shape[1] == side, image.shape[0])\n"
        "print([name for name in set(sys.modules) - before if 'keras' in name])\n"
    )
    done = run_command("-c", program, module=None)
    assert done.stdout.splitlines() == ["True 32", "[]"], done.stderr
