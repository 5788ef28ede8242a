"""The exported model: stock ops, any images, the answers of the trained network."""

import csv
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from melanoma_tf.backbones.classifier import load_classifier as load_network
from melanoma_tf.classification import evaluate as evaluation
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import find_images
from melanoma_tf.images import loading
from melanoma_tf.records.read import read_examples
from melanoma_tf.serving.client import predictions_csv
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.warmup import FILE
from melanoma_tf.training.run_record import read_run


@pytest.fixture(scope="module")
def image_files(phantom_folder):
    return sorted((phantom_folder / "ISIC-2017_Training_Data").glob("*.jpg"))[:5]


def test_it_answers_in_a_process_that_imported_only_tensorflow(exported, image_files):
    program = (
        "import sys, json, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "answer = model.signatures['serving_default'](\n"
        "    images=tf.constant([open(f, 'rb').read() for f in sys.argv[2:]]))\n"
        "looks = model.signatures['saliency'](\n"
        "    images=tf.constant([open(f, 'rb').read() for f in sys.argv[2:]]))\n"
        "assert not any(m.split('.')[0] in ('melanoma_tf', 'tensorflow_addons', 'tensorflow_io')\n"
        "               for m in sys.modules)\n"
        "print(json.dumps({'p': answer['probabilities'].numpy().tolist(),\n"
        "    'c': [[n.decode() for n in row] for row in answer['classes'].numpy()],\n"
        "    'saliency': looks['saliency'].shape.as_list(),\n"
        "    'same': looks['probabilities'].numpy().tolist()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, exported / "1", *image_files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["c"] == [["melanoma", "nevus", "seborrheic_keratosis"]] * 5
    np.testing.assert_allclose(np.sum(answer["p"], axis=1), 1, rtol=1e-5)
    assert answer["saliency"] == [5, 32, 32]
    np.testing.assert_allclose(answer["same"], answer["p"], atol=1e-5)


def test_answers_are_those_of_evaluate_temperature_included(
    exported, trained_run, phantom_records, tmp_path, monkeypatch
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
    for answer in load_classifier(exported).predict(files):
        row = evaluated[answer.path.stem]
        expected = [float(row[name]) for name in answer.class_names]
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)


def test_without_a_calibration_answers_are_the_network_s_own(trained_run, image_files, tmp_path):
    bare = tmp_path / "run"
    shutil.copytree(trained_run, bare)
    (bare / "calibration.json").unlink()
    export_run(bare, tmp_path / "model")
    size = read_run(bare, CLASSIFIER).settings.network.image_size_px
    model = load_network(bare)
    for answer in load_classifier(tmp_path / "model").predict(image_files):
        image = loading.load_image(answer.path.read_bytes(), round(size * 8 / 7))
        logits = model(loading.centre_crop(image, size)[tf.newaxis])
        np.testing.assert_allclose(answer.probabilities, tf.nn.softmax(logits)[0], atol=1e-5)
    assert json.loads((tmp_path / "model" / "metadata.json").read_text())["calibration"] is None
    assert "are not calibrated" in (tmp_path / "model" / "model_card.md").read_text()


def test_one_call_takes_images_of_any_size_and_format_and_none(exported):
    signature = tf.saved_model.load(str(exported / "1")).signatures["serving_default"]
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


def test_warmup_requests_are_what_tensorflow_serving_reads(exported):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = list(tf.data.TFRecordDataset(str(exported / "1" / FILE)))
    assert records
    signature = tf.saved_model.load(str(exported / "1")).signatures["serving_default"]
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "small"
        assert request.model_spec.signature_name == "serving_default"
        images = tf.make_ndarray(request.inputs["images"])
        assert signature(images=tf.constant(images))["probabilities"].shape == (1, 3)


def test_card_and_metadata_travel_with_the_model(exported, trained_run):
    metadata = json.loads((exported / "metadata.json").read_text())
    assert metadata["class_names"] == ["melanoma", "nevus", "seborrheic_keratosis"]
    assert metadata["training"]["settings"]["network"]["backbone"] == "one-convolution"
    assert metadata["calibration"] == json.loads((trained_run / "calibration.json").read_text())
    card = (exported / "model_card.md").read_text()
    assert "Not a medical device" in card
    assert "isic2017" in card
    threshold = metadata["calibration"]["thresholds"]["melanoma"]["0.82"]
    assert f"| melanoma | {threshold:.6f} |" in card


def test_an_exported_model_is_not_overwritten(exported, trained_run):
    with pytest.raises(MelanomaError, match="exists"):
        export_run(trained_run, exported)


def test_a_bad_file_is_named_and_the_others_are_classified(exported, image_files, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(image_files[0].read_bytes()[:100])
    text = tmp_path / "text.png"
    text.write_text("no image")
    answers = list(load_classifier(exported).predict([image_files[0], broken, text]))
    assert [bool(a.error) for a in answers] == [False, True, True]
    rows = predictions_csv([a for a in answers if not a.error]).splitlines()
    assert rows[0] == "image_id,melanoma,nevus,seborrheic_keratosis"
    assert rows[1].startswith(image_files[0].stem + ",")


def test_the_pixels_count_and_not_the_type_of_the_file(exported, image_files, tmp_path):
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
    answers = [each.probabilities for each in load_classifier(exported).predict(paths)]
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-6)


def test_folders_without_images_and_absent_paths_are_refused(tmp_path):
    with pytest.raises(MelanomaError, match="found none"):
        find_images([tmp_path])
    with pytest.raises(MelanomaError, match="does not exist"):
        find_images([tmp_path / "absent"])
    with pytest.raises(MelanomaError, match=r"found no saved_model.pb"):
        load_classifier(tmp_path)


def test_files_of_one_name_in_two_folders_keep_apart(exported, image_files, tmp_path):
    twin = tmp_path / image_files[0].name
    twin.write_bytes(image_files[0].read_bytes())
    rows = predictions_csv(list(load_classifier(exported).predict([image_files[0], twin])))
    assert len({row.split(",")[0] for row in rows.splitlines()[1:]}) == 2
