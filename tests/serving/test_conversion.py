"""Models of other formats: the answers of the network, within what their numbers allow."""

import dataclasses
import json
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.data import evaluation_batches
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.temperature import LogitScale
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.serving.conversion import Conversion
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.lite import lite_formats
from melanoma_tf.serving.onnx_format import onnx_format
from melanoma_tf.serving.settings import ExportSettings
from melanoma_tf.training.run_record import read_run

TEMPERATURE, BIASES = 2.0, (0.5, -0.75, 0.25)


@pytest.fixture(scope="module")
def conversion(trained_run):
    record = read_run(trained_run, CLASSIFIER)
    inputs = classifier_inputs(record.settings, batch_size=8)
    return Conversion(
        load_classifier(trained_run), inputs, LogitScale(TEMPERATURE, BIASES), record.class_names
    )


@pytest.fixture(scope="module")
def golden():
    photo = draw_phantom("nevus", 1, PhantomSettings((40, 60))).image
    return [cv2.imencode(".png", photo)[1].tobytes()]


@pytest.fixture(scope="module")
def reference(trained_run, conversion, phantom_records):
    """Test images, the network's probabilities, and their mean AUC by scikit-learn."""
    network = load_classifier(trained_run)
    batches = list(
        evaluation_batches(phantom_records, "test", conversion._inputs).as_numpy_iterator()
    )
    squares, labels = (np.concatenate([b[key] for b in batches]) for key in ("image", "label"))
    expected = tf.nn.softmax(network(squares, training=False) / TEMPERATURE + BIASES).numpy()
    return (
        squares,
        expected,
        np.mean([roc_auc_score(labels == k, expected[:, k]) for k in range(3)]),
    )


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
def test_lite_models_are_written_checked_and_near_the_network(
    conversion, golden, reference, phantom_records, tmp_path
):
    squares, expected, mean_auc = reference
    formats = lite_formats(("float16", "int8"))
    checks = conversion.write(tmp_path, formats, golden, phantom_records, "test")
    assert [each.file for each in checks] == ["lite/float16.tflite", "lite/int8.tflite"]
    for check, tolerance in zip(checks, (2e-3, 0.15)):
        path = tmp_path / check.file
        assert path.stat().st_size == check.size_bytes
        assert check.network_auc == pytest.approx(mean_auc)
        interpreter = tf.lite.Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], squares[:1].astype(np.float32)
        )
        interpreter.invoke()
        answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert np.abs(answer[0] - expected[0]).max() <= check.difference + 1e-6
        assert check.difference <= tolerance
        assert check.golden_difference <= tolerance


def test_an_onnx_model_answers_as_the_network_to_any_number_of_images(
    trained_run, phantom_records, tmp_path
):
    for name in ("tf2onnx", "onnxruntime"):
        pytest.importorskip(name, reason="the extra onnx is not installed")
    import onnxruntime

    settings = ExportSettings(onnx=True, saliency=False, lite_records=str(phantom_records))
    version = export_run(trained_run, tmp_path / "model", settings)
    (check,) = json.loads((version / "metadata.json").read_text())["formats"]
    assert check["file"] == "onnx/model.onnx"
    assert check["golden_difference"] < 1e-5
    assert check["difference"] < 1e-5
    assert check["auc"] == pytest.approx(check["network_auc"])
    session = onnxruntime.InferenceSession(str(version / check["file"]))
    squares = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    (answer,) = session.run(["probabilities"], {"images": squares})
    network, record = load_classifier(trained_run), trained_run / "calibration.json"
    temperature = json.loads(record.read_text())["temperature"]
    expected = tf.nn.softmax(network(squares, training=False) / temperature)
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_without_tf2onnx_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(MelanomaError, match=r"tf2onnx: pip install melanoma-tf\[onnx\]"):
        onnx_format()


def test_records_of_other_classes_are_refused(conversion, phantom_records, tmp_path):
    other = Conversion.__new__(Conversion)
    other.__dict__.update(conversion.__dict__, _class_names=("melanoma", "wart"))
    with pytest.raises(MelanomaError, match="expected records of the classes melanoma, wart"):
        other.write(tmp_path, lite_formats(("float16",)), [], phantom_records)
    assert not list(tmp_path.iterdir())


def test_int8_wants_records_and_records_want_a_lite_model():
    with pytest.raises(MelanomaError, match="expected --lite-records, to calibrate int8"):
        ExportSettings(lite=("float16", "int8"))
    with pytest.raises(MelanomaError, match="with --lite or --onnx only"):
        ExportSettings(lite_records="tfrecords/first")
    both = ExportSettings(lite=("int8",), lite_records="tfrecords/first")
    assert dataclasses.asdict(both)["lite"] == ("int8",)
