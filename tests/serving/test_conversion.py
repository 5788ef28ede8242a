"""Lite models: the answers of the network, within what their number format allows."""

import dataclasses

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
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.serving.lite import LiteExport
from melanoma_tf.serving.settings import ExportSettings
from melanoma_tf.training.run_record import read_run

TEMPERATURE = 2.0


@pytest.fixture(scope="module")
def lite(trained_run):
    record = read_run(trained_run, CLASSIFIER)
    inputs = classifier_inputs(record.settings, batch_size=8)
    return LiteExport(load_classifier(trained_run), inputs, TEMPERATURE, record.class_names)


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning")
def test_lite_models_are_written_checked_and_near_the_network(
    lite, trained_run, phantom_records, tmp_path
):
    photo = draw_phantom("nevus", 1, PhantomSettings((40, 60))).image
    golden = [cv2.imencode(".png", photo)[1].tobytes()]
    checks = lite.write(tmp_path, ("float16", "int8"), golden, phantom_records, "test")
    assert [each.kind for each in checks] == ["float16", "int8"]
    network = load_classifier(trained_run)
    batches = list(evaluation_batches(phantom_records, "test", lite._inputs).as_numpy_iterator())
    squares, labels = (np.concatenate([b[key] for b in batches]) for key in ("image", "label"))
    expected = tf.nn.softmax(network(squares, training=False) / TEMPERATURE).numpy()
    one_against_rest = [roc_auc_score(labels == k, expected[:, k]) for k in range(3)]
    for check, tolerance in zip(checks, (2e-3, 0.15)):
        path = tmp_path / "lite" / f"{check.kind}.tflite"
        assert path.stat().st_size == check.size_bytes
        assert check.network_auc == pytest.approx(np.mean(one_against_rest))
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


def test_records_of_other_classes_are_refused(lite, phantom_records, tmp_path):
    other = LiteExport.__new__(LiteExport)
    other.__dict__.update(lite.__dict__, _class_names=("melanoma", "wart"))
    with pytest.raises(MelanomaError, match="expected records of the classes melanoma, wart"):
        other.write(tmp_path, ("float16",), [], phantom_records)
    assert not list(tmp_path.iterdir())


def test_int8_wants_records_and_records_want_a_lite_model():
    with pytest.raises(MelanomaError, match="expected --lite-records, to calibrate int8"):
        ExportSettings(lite=("float16", "int8"))
    with pytest.raises(MelanomaError, match="with --lite only"):
        ExportSettings(lite_records="tfrecords/first")
    both = ExportSettings(lite=("int8",), lite_records="tfrecords/first")
    assert dataclasses.asdict(both)["lite"] == ("int8",)
