"""Weights of runs are arrays only: two attacks by model files are planted in all that is read."""

import ast
import contextlib
import dataclasses
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import melanoma_tf
from melanoma_tf.backbones.classifier import build_classifier, load_classifier
from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector.inference import DETECTOR
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.inpainter.perceptual import vgg16
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.segmentation import train as segmentation
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.segmentation.train import SEGMENTER
from melanoma_tf.training.initial_weights import start_from
from melanoma_tf.training.run import load_model
from melanoma_tf.training.run_record import describe_run
from melanoma_tf.training.weights import named_weights, read_weights, write_weights
from tests.conftest import ONE_CONVOLUTION

KINDS = {
    "classifier": (
        CLASSIFIER,
        ClassifierSettings(network=NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32)),
    ),
    "detector": (DETECTOR, DetectorSettings(image_size_px=32, base_filters=2, levels=1)),
}


@pytest.fixture
def ran(tmp_path):
    """A file that appears when code of an attack runs."""
    return tmp_path / "ran"


@pytest.fixture(params=["lambda in HDF5", "function of another module"])
def attack(request, tmp_path, ran, monkeypatch):
    """The bytes of a model file that runs code where Keras loads it."""
    path = tmp_path / "attack.keras"
    if request.param == "lambda in HDF5":
        code = lambda x, path=str(ran): (__import__("pathlib").Path(path).touch(), x)[1]  # noqa: E731
        layer = keras.layers.Lambda(code)
        with pytest.warns(UserWarning, match="HDF5"):
            keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "attack.h5")
        path.write_bytes((tmp_path / "attack.h5").read_bytes())
        ran.unlink()  # It ran here, too.
    else:
        (tmp_path / "planted_module.py").write_text(
            f"import pathlib\npathlib.Path({str(ran)!r}).touch()\ndef f(x): return x"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "planted_module", raising=False)
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(path)
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        config = {"module": "planted_module", "class_name": "f", "config": {},
                  "registered_name": "f"}  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**entries, "config.json": json.dumps(config)}.items():
                archive.writestr(name, content)
    return path.read_bytes()


def test_keras_itself_runs_the_attacks(attack, tmp_path, ran):
    """Without this the tests below would prove nothing."""
    (tmp_path / "model.keras").write_bytes(attack)
    with contextlib.suppress(TypeError, ValueError):
        keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert ran.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_no_run_runs_code(kind, attack, ran, phantom_records, tmp_path):
    run_kind, settings = KINDS[kind]
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    record = describe_run(run_kind, settings, RecordSet.read(phantom_records))
    (run_dir / "config.json").write_text(json.dumps(record.to_json()))
    for name in ("model.keras", "weights.npz"):
        (run_dir / name).write_bytes(attack)
        with pytest.raises(MelanomaError, match=f"{name}: expected"):
            load_model(run_dir, run_kind)
    if kind == "classifier":
        with pytest.raises(MelanomaError, match=r"weights\.npz: expected"):
            load_classifier(run_dir)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5", "w.npz", "w.h5"])
def test_no_file_of_initial_weights_runs_code(name, attack, ran, tmp_path):
    (tmp_path / name).write_bytes(attack)
    path = str(tmp_path / name)
    with pytest.raises(MelanomaError, match=r"w\..*: expected|found .*w\.h5|no weights of"):
        start_from(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), tmp_path / name)
    with pytest.raises(MelanomaError, match=r"w\."):
        build_classifier(backbone=ONE_CONVOLUTION, num_classes=2, image_size_px=32, weights=path)
    if name == "w.h5":
        with pytest.raises(MelanomaError, match=r"w\."):
            vgg16(path)
    assert not ran.exists()


def network():
    images = keras.Input((4, 4, 3))
    features = keras.layers.Conv2D(2, 3, padding="same")(images)
    features = keras.layers.BatchNormalization()(features)
    return keras.Model(images, keras.layers.Dense(2)(features))


def test_weights_come_back_whatever_keras_called_the_layers(tmp_path):
    first, second = network(), network()
    first.layers[2].trainable = False
    first.set_weights([np.full(value.shape, index) for index, value in
                       enumerate(first.get_weights())])  # fmt: skip
    write_weights(first, tmp_path / "w.npz")
    read_weights(second, tmp_path / "w.npz")
    for name, variable in named_weights(first).items():
        np.testing.assert_array_equal(named_weights(second)[name], variable)
    assert list(named_weights(second)) == [
        "0000/kernel", "0001/bias", "0002/gamma", "0003/beta", "0004/moving_mean",
        "0005/moving_variance", "0006/kernel", "0007/bias",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["model.keras", "w.weights.h5"])
def test_files_of_earlier_versions_give_their_arrays(name, tmp_path):
    first, second = network(), network()
    (first.save if name == "model.keras" else first.save_weights)(tmp_path / name)
    read_weights(second, tmp_path / name)
    for ours, theirs in zip(second.get_weights(), first.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(MelanomaError, match="expected a network of the same layers"):
        read_weights(other, tmp_path / name)


def test_weights_that_lie_in_another_file_are_refused(tmp_path):
    """HDF5 can take an array from any file of the machine."""
    (tmp_path / "secret").write_bytes(bytes(64))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "a") as file:
        arrays = []
        file.visititems(
            lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None
        )
        shape = file[arrays[0]].shape
        del file[arrays[0]]
        file.create_dataset(arrays[0], shape, "f4", external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(MelanomaError, match="which takes them from elsewhere"):
        read_weights(model, tmp_path / "w.weights.h5")


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    write_weights(network(), tmp_path / "w.npz")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(MelanomaError, match="with 2 arrays; found 8, 0002/gamma too"):
        read_weights(other, tmp_path / "w.npz")


def test_a_segmenter_starts_from_a_run_of_its_encoder(phantom_records, tmp_path, monkeypatch):
    """`.npz` is the form of converted encoder weights, too."""
    monkeypatch.setattr(segmentation, "build_lite_segmenter", lambda *_, **__: network())
    settings = SegmenterSettings(image_size_px=64, encoder="efficientnet-lite0")
    records = RecordSet.read(phantom_records)
    donor = SEGMENTER.network(describe_run(SEGMENTER, settings, records))
    write_weights(donor, tmp_path / "weights.npz")
    settings = dataclasses.replace(settings, weights=str(tmp_path / "weights.npz"))
    job = segmentation.segmenter_job(records, settings, lambda line: None)
    for ours, theirs in zip(job.build().get_weights(), donor.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_nothing_builds_a_network_from_a_file():
    """A network comes from settings; these functions of Keras make one of what a file says."""
    forbidden = {
        "load_model", "model_from_json", "model_from_config", "deserialize", "from_config",
        "deserialize_keras_object", "load_layer",
    }  # fmt: skip
    for path in sorted(Path(melanoma_tf.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in forbidden, f"{path}: {node.attr}"
