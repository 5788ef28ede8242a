"""The exported model: stock ops, any images, the answers of the trained network."""

import csv
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from melanoma_tf.backbones.classifier import load_classifier as load_network
from melanoma_tf.classification import evaluate as evaluation
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.ownership import mark
from melanoma_tf.datasets.image_files import find_images
from melanoma_tf.images import loading
from melanoma_tf.records.read import read_examples
from melanoma_tf.serving import export
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.predictions import predictions_csv
from melanoma_tf.serving.settings import ExportSettings
from melanoma_tf.serving.verify import verify_model
from melanoma_tf.serving.warmup import FILE, read_warmup
from melanoma_tf.training.run_record import read_run


@pytest.fixture(scope="module")
def image_files(phantom_folder):
    return sorted((phantom_folder / "ISIC-2017_Training_Data").glob("*.jpg"))[:5]


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported / "1")).signatures


@pytest.fixture(scope="module")
def classifier(exported):
    return load_classifier(exported)


PROGRAM = """
import importlib.abc, json, sys
BLOCKED = ("melanoma_tf", "tensorflow_addons", "tensorflow_io")
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
folder, files = sys.argv[1], sys.argv[2:]
saved = saved_model_pb2.SavedModel.FromString(open(folder + "/saved_model.pb", "rb").read())
graph = saved.meta_graphs[0].graph_def
nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
own = {each.signature.name for each in graph.library.function}
images = [open(name, "rb").read() for name in files]
with tf.compat.v1.Session(graph=tf.Graph()) as session:  # As TensorFlow Serving loads it.
    found = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
    def call(name, given):
        signature = found[name]
        outputs = {key: value.name for key, value in signature.outputs.items()}
        (single,) = signature.inputs.values()
        return session.run(outputs, {single.name: given})
    answer, explained = call("serving_default", images), call("explain", images)
print(json.dumps({
    "unknown": sorted({n.op for n in nodes if op_def_registry.get(n.op) is None} - own),
    "nodes": len(nodes),
    "functions": len(saved.meta_graphs[0].object_graph_def.concrete_functions),
    "methods": {name: each.method_name for name, each in found.items()},
    "probabilities": answer["probabilities"].tolist(),
    "classes": [[name.decode() for name in row] for row in answer["classes"]],
    "status": answer["status"].tolist(),
    "saliency": list(explained["saliency"].shape),
    "same": explained["probabilities"].tolist(),
}))
"""


def test_it_answers_where_only_tensorflow_exists_and_has_stock_operations_only(
    exported, image_files, tmp_path
):
    (tmp_path / "text.jpg").write_text("no image")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, exported / "1", *image_files, tmp_path / "text.jpg"],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["nodes"] > 100
    assert answer["unknown"] == []
    assert answer["functions"] == 4, "the signatures alone, no functions of layers"
    assert answer["methods"] == {
        "serving_default": "tensorflow/serving/predict",
        "explain": "tensorflow/serving/predict",
        "tensor": "tensorflow/serving/predict",
        "classify": "tensorflow/serving/classify",
        "__saved_model_init_op": "",
    }
    assert answer["classes"] == [["melanoma", "nevus", "seborrheic_keratosis"]] * 6
    assert answer["status"] == [0] * 5 + [2]
    totals = np.sum(answer["probabilities"], axis=1)
    np.testing.assert_allclose(totals, [1] * 5 + [0], rtol=1e-5)
    assert answer["saliency"] == [6, 32, 32]
    np.testing.assert_allclose(answer["same"], answer["probabilities"], atol=1e-5)


def test_answers_are_those_of_evaluate_temperature_included(
    classifier, trained_run, phantom_records, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluation, "write_report", lambda *_, **options: None)
    metrics = evaluation.evaluate_classifier(
        trained_run, phantom_records, EvaluationSettings(rounds=0), output=tmp_path
    )
    assert metrics["runs"][0]["temperature"] != 1
    with (tmp_path / "predictions.csv").open() as stream:
        evaluated = {row["image_id"]: row for row in csv.DictReader(stream)}
    files = []
    for one in read_examples(phantom_records, "test"):
        files.append(tmp_path / f"{one.key}.{one.image_format}")
        files[-1].write_bytes(one.image)
    for answer in classifier.predict(files):
        row = evaluated[answer.path.stem]
        expected = [float(row[name]) for name in answer.class_names]
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)


def test_without_a_calibration_answers_are_the_network_s_own(trained_run, image_files, tmp_path):
    bare = tmp_path / "run"
    shutil.copytree(trained_run, bare)
    (bare / "calibration.json").unlink()
    # TensorFlow would take this name for a pattern.
    folder = tmp_path / "v[1]"
    export_run(bare, folder, ExportSettings(saliency=False))
    size = read_run(bare, CLASSIFIER).settings.network.image_size_px
    model = load_network(bare)
    for answer in load_classifier(folder).predict(image_files):
        image = loading.load_image(answer.path.read_bytes(), round(size * 8 / 7))
        logits = model(loading.centre_crop(image, size)[tf.newaxis])
        np.testing.assert_allclose(answer.probabilities, tf.nn.softmax(logits)[0], atol=1e-5)
    assert json.loads((folder / "1" / "metadata.json").read_text())["calibration"] is None
    assert "are not calibrated" in (folder / "1" / "model_card.md").read_text()
    plain = folder.rename(tmp_path / "model")
    signatures = tf.saved_model.load(str(plain / "1")).signatures
    assert set(signatures) == {"serving_default", "tensor", "classify"}
    assert not any(name.startswith("above") for name in signatures["tensor"].structured_outputs)


def test_one_call_takes_images_of_any_size_and_format_and_none(signatures):
    signature = signatures["serving_default"]
    rng = np.random.default_rng(0)
    images = [
        cv2.imencode(suffix, rng.integers(0, 256, shape, dtype=np.uint8))[1].tobytes()
        for suffix, shape in ((".jpg", (20, 31, 3)), (".png", (300, 200, 3)), (".png", (40, 40)))
    ]
    answer = signature(images=tf.constant(images))
    assert answer["probabilities"].shape == (3, 3)
    alone = signature(images=tf.constant(images[1:2]))["probabilities"]
    np.testing.assert_allclose(alone[0], answer["probabilities"][1], atol=1e-5)
    empty = signature(images=tf.constant([], tf.string))
    assert empty["probabilities"].shape == (0, 3)


def test_a_classification_request_gets_a_score_for_each_class(signatures, image_files):
    """As TensorFlow Serving runs the method: serialised examples in, classes and scores out."""
    classification_pb2 = pytest.importorskip("tensorflow_serving.apis.classification_pb2")
    request = classification_pb2.ClassificationRequest()
    request.model_spec.signature_name = "classify"
    contents = [path.read_bytes() for path in image_files]
    for content in contents:
        example = request.input.example_list.examples.add()
        example.features.feature["image/encoded"].bytes_list.value.append(content)
    request = classification_pb2.ClassificationRequest.FromString(request.SerializeToString())
    examples = [each.SerializeToString() for each in request.input.example_list.examples]
    found = signatures[request.model_spec.signature_name](inputs=tf.constant(examples))
    response = classification_pb2.ClassificationResponse()
    for labels, scores in zip(found["classes"].numpy(), found["scores"].numpy()):
        row = response.result.classifications.add()
        for label, score in zip(labels, scores):
            row.classes.add(label=label.decode(), score=score)
    response = classification_pb2.ClassificationResponse.FromString(response.SerializeToString())
    expected = signatures["serving_default"](images=tf.constant(contents))["probabilities"]
    for row, probabilities in zip(response.result.classifications, expected.numpy()):
        assert [each.label for each in row.classes] == [
            "melanoma", "nevus", "seborrheic_keratosis",
        ]  # fmt: skip
        np.testing.assert_allclose([each.score for each in row.classes], probabilities, atol=1e-6)


def test_warmup_requests_are_what_tensorflow_serving_reads(exported):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = list(tf.data.TFRecordDataset(str(exported / "1" / FILE)).as_numpy_iterator())
    requests = [
        prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        for record in records
    ]
    assert {each.model_spec.signature_name for each in requests} == {"serving_default", "explain"}
    for request, own in zip(requests, read_warmup(exported / "1")):
        assert request.model_spec.name == own.model == "small"
        images = tf.make_ndarray(request.inputs["images"])
        np.testing.assert_array_equal(images, own.inputs["images"])
        assert all(tf.io.decode_image(each).shape[-1] == 3 for each in images)


def test_card_and_metadata_travel_with_the_model(exported, trained_run):
    metadata = json.loads((exported / "1" / "metadata.json").read_text())
    assert metadata["class_names"] == ["melanoma", "nevus", "seborrheic_keratosis"]
    assert metadata["training"]["settings"]["network"]["backbone"] == "one-convolution"
    assert "mask_bytes" not in metadata["signatures"]["explain"]["outputs"]
    assert "above_threshold_82" in metadata["signatures"]["serving_default"]["outputs"]
    calibration = json.loads((trained_run / "calibration.json").read_text())
    assert metadata["calibration"]["thresholds"] == calibration["thresholds"]
    card = (exported / "1" / "model_card.md").read_text()
    assert "Not a medical device" in card
    assert "isic2017" in card
    threshold = calibration["thresholds"]["melanoma"]["0.82"]
    assert f"| melanoma | {threshold:.6f} |" in card
    assert metadata["operating_points"]["above_threshold_82"]["melanoma"] == threshold


def test_a_model_that_travels_names_no_folder_of_this_machine(exported, phantom_records):
    for name in ("metadata.json", "model_card.md"):
        assert str(phantom_records.parent) not in (exported / "1" / name).read_text()
    metadata = json.loads((exported / "1" / "metadata.json").read_text())
    assert metadata["training"]["records"][0]["path"] == phantom_records.name


def test_a_model_answers_as_it_did_when_exported_and_another_is_told(exported, tmp_path):
    model = shutil.copytree(exported, tmp_path / "model")
    result = verify_model(model)
    assert result.failures == ()
    assert {each.output for each in result.comparisons} >= {"probabilities", "saliency", "status"}
    assert result.warmup_requests == 4
    path = model / "1" / "assets.extra" / "golden" / "answers.json"
    stored = json.loads(path.read_text())
    stored["answers"]["serving_default"]["probabilities"][1][0] += 0.01
    stored["answers"]["serving_default"]["status"][0] = [5]
    path.write_text(json.dumps(stored))
    found = tmp_path / "found.json"
    done = CliRunner().invoke(main, ["verify-model", str(model), "--json", str(found)])
    assert done.exit_code == 1
    assert len(json.loads(found.read_text())["failures"]) == 2
    assert "serving_default: probabilities differs by 0.01" in done.output
    assert "serving_default: status differs by 5" in done.output
    assert "2 do not agree" in done.output
    path.unlink()
    with pytest.raises(MelanomaError, match=r"answers.json; it does not exist"):
        verify_model(model)


def test_thresholds_of_another_purification_are_told(trained_run, tmp_path, monkeypatch, caplog):
    def stop(*_, **__):
        raise MelanomaError("about to be written")

    monkeypatch.setattr(export, "write_classifier", stop)
    for method, lines in (("none", 0), ("classical", 1)):
        with pytest.raises(MelanomaError, match="about to be written"):
            export_run(trained_run, tmp_path / "model", ExportSettings(purify=method))
        assert len(caplog.messages) == lines
    assert "fitted on images purified by: none; this model purifies by: classical" in caplog.text


def test_versions_of_another_task_do_not_mix(trained_run, tmp_path):
    other = tmp_path / "model" / "1"
    other.mkdir(parents=True)
    (other / "saved_model.pb").write_bytes(b"")
    (other / "metadata.json").write_text('{"task": "segmentation"}')
    mark(other)
    with pytest.raises(MelanomaError, match="expected a model of the task segmentation"):
        export_run(trained_run, tmp_path / "model")
    assert [each.name for each in (tmp_path / "model").iterdir()] == ["1"]


def test_a_bad_file_is_named_and_the_others_are_classified(classifier, image_files, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(image_files[0].read_bytes()[:100])
    text = tmp_path / "text.png"
    text.write_text("no image")
    answers = list(classifier.predict([image_files[0], broken, text]))
    assert [bool(a.error) for a in answers] == [False, True, True]
    rows = predictions_csv([a for a in answers if not a.error]).splitlines()
    assert rows[0] == "image_id,melanoma,nevus,seborrheic_keratosis"
    assert rows[1].startswith(image_files[0].stem + ",")


def test_the_pixels_count_and_not_the_type_of_the_file(classifier, image_files, tmp_path):
    image = Image.open(image_files[0]).quantize(256)
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "palette.bmp")
    for suffix in (".tif", ".webp"):
        image.convert("RGB").save(tmp_path / f"other{suffix}", lossless=True)
    upside = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    upside.save(tmp_path / "turned.png", exif=turned)
    paths = find_images([tmp_path]).paths
    assert len(paths) == 5
    answers = [each.probabilities for each in classifier.predict(paths)]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-6)


def test_folders_without_images_and_absent_paths_are_refused(tmp_path):
    with pytest.raises(MelanomaError, match="found none"):
        find_images([tmp_path])
    with pytest.raises(MelanomaError, match="does not exist"):
        find_images([tmp_path / "absent"])
    with pytest.raises(MelanomaError, match=r"found no saved_model\.pb"):
        load_classifier(tmp_path)


def test_files_of_one_name_in_two_folders_keep_apart(classifier, image_files, tmp_path):
    twin = tmp_path / image_files[0].name
    twin.write_bytes(image_files[0].read_bytes())
    rows = predictions_csv(list(classifier.predict([image_files[0], twin])))
    assert len({row.split(",")[0] for row in rows.splitlines()[1:]}) == 2
