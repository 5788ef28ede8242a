"""The door to exported models: classifiers and segmenters, and folders that are neither."""

import json
import random
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from melanoma_tf import serving
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.segmentation.lesion_segmenter import InferenceSettings, LesionSegmenter
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.segmentation.train import SEGMENTER
from melanoma_tf.serving.checksums import write_checksums
from melanoma_tf.serving.client import ServedClassifier, ServedSegmenter
from melanoma_tf.serving.segmenter_export import write_segmenter
from melanoma_tf.training.run_record import RunRecord

SETTINGS = SegmenterSettings(image_size_px=64, base_filters=1, padding="same")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """An exported segmenter, untrained."""
    folder = tmp_path_factory.mktemp("saved_models") / "outlines"
    images = keras.Input((SETTINGS.image_size_px, SETTINGS.image_size_px, 3))
    lesion = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(images)
    network = keras.Model(images, lesion)  # What is tested here does not depend on the network.
    record = RunRecord(SEGMENTER.name, SETTINGS, (), "isic2017", ("melanoma",), {})
    used = LesionSegmenter(network, InferenceSettings(0.4))
    write_segmenter(folder / "1", "outlines", used, record=record, max_megapixels=1.0)
    return folder


class _Classifier(tf.Module):
    """Says `nevus` of every image, at its mean brightness."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="images")])
    def serve(self, images):
        def brightness(encoded):
            return tf.reduce_mean(tf.cast(tf.io.decode_image(encoded), tf.float32)) / 255.0

        values = tf.map_fn(brightness, images, fn_output_signature=tf.float32)
        status = tf.cast(values == 1.0, tf.int32)
        return {
            "probabilities": tf.stack([1.0 - values, values], axis=1),
            "classes": tf.tile([["melanoma", "nevus"]], [tf.size(images), 1]),
            "status": status,
            "message": tf.where(status > 0, "too bright", ""),
        }


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models") / "first"
    module = _Classifier()
    tf.saved_model.save(module, str(folder / "1"), signatures=module.serve)
    (folder / "1" / "metadata.json").write_text(json.dumps({"task": "classification"}))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A dark image, a file that is none, and a bright image of another size."""
    folder = tmp_path_factory.mktemp("images")
    cv2.imwrite(str(folder / "dark.png"), np.full((20, 30, 3), 51, np.uint8))
    (folder / "none.png").write_text("no image")
    cv2.imwrite(str(folder / "light.png"), np.full((40, 25, 3), 204, np.uint8))
    return [folder / name for name in ("dark.png", "none.png", "light.png")]


@pytest.fixture
def copy(segmenter, tmp_path):
    return shutil.copytree(segmenter, tmp_path / "copy")


def test_metadata_decides_between_classifier_and_segmenter(classifier, segmenter):
    assert isinstance(serving.load(classifier), ServedClassifier)
    assert isinstance(serving.load(segmenter), ServedSegmenter)
    assert isinstance(serving.load(segmenter / "1"), ServedSegmenter)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_classifier_predicts_files_and_names_bad_ones(classifier, files, batch_size):
    answers = list(serving.load(classifier).predict(files, batch_size=batch_size))
    assert [answer.path for answer in answers] == files
    assert [answer.best for answer in answers] == ["melanoma", "", "nevus"]
    assert answers[2].probabilities == pytest.approx([0.2, 0.8])
    assert "found other bytes" in answers[1].error


def test_a_file_that_the_model_refuses_is_named_by_the_model_s_message(classifier, tmp_path):
    cv2.imwrite(str(tmp_path / "white.png"), np.full((20, 30), 255, np.uint8))
    (answer,) = serving.load(classifier).predict([tmp_path / "white.png"])
    assert (answer.probabilities, answer.error) == (None, "too bright")


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_segmenter_segments_files_and_names_bad_ones(segmenter, files, batch_size):
    answers = list(serving.load(segmenter).segment(files, batch_size=batch_size))
    assert [answer.name for answer in answers] == ["dark", "none", "light"]
    assert answers[1].mask is None
    assert "found other bytes" in answers[1].error
    for answer, shape in ((answers[0], (20, 30)), (answers[2], (40, 25))):
        mask = cv2.imdecode(np.frombuffer(answer.mask, np.uint8), cv2.IMREAD_UNCHANGED)
        assert mask.shape == shape
        assert set(np.unique(mask)) <= {0, 255}


def test_predict_and_explain_name_a_segmenter(segmenter, files, tmp_path):
    for command in (
        ["predict", str(files[0]), "--model", str(segmenter)],
        ["explain", str(files[0]), "--model", str(segmenter), "--output", str(tmp_path / "out")],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 1
        assert "expected a classifier; found a segmenter" in done.output
        assert len(done.output.splitlines()) == 1


def test_a_classifier_is_no_segmenter(classifier):
    with pytest.raises(MelanomaError, match="expected a segmenter; found a classifier"):
        serving.load_segmenter(classifier)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1/metadata.json", None, r"expected the file .*metadata.json; it does not exist"),
        ("1/metadata.json", "{", "metadata.json: expected JSON, found"),
        ("1/metadata.json", "[]", "expected a JSON object; found list"),
        ("1/metadata.json", "{}", "metadata.json: expected task; found none"),
        ("1/metadata.json", '{"task": "poetry"}', "classification or segmentation; found poetry"),
        (
            "1/metadata.json",
            '{"task": "classification"}',
            "outputs probabilities, classes, as meta",
        ),
        ("1/saved_model.pb", None, "found no saved_model.pb"),
        ("1/saved_model.pb", "", "expected a whole SavedModel; found"),
        ("1/saved_model.pb", "text", "expected a whole SavedModel; found"),
        ("1/variables/variables.index", None, "expected a whole SavedModel; found"),
        ("1/variables/variables.index", "text", "expected a whole SavedModel; found"),
        ("1/variables/variables.data-00000-of-00001", None, "expected a whole SavedModel; found"),
        ("1/variables/variables.data-00000-of-00001", "t", "expected a whole SavedModel; found"),
    ],
)
def test_what_is_missing_or_damaged_is_one_line(copy, name, content, message):
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_text(content)
    with pytest.raises(MelanomaError, match=message) as caught:
        serving.load(copy)
    assert "\n" not in str(caught.value)


def test_with_checksums_any_flipped_bit_is_refused_before_the_model_is_read(copy, monkeypatch):
    version = copy / "1"
    write_checksums(version)
    serving.load(copy)
    monkeypatch.setattr(tf.saved_model, "load", None)
    files = [version / "saved_model.pb", *version.glob("*.json"), *version.glob("variables/*")]
    assert len(files) >= 4
    choose = random.Random(0)
    for path in files * 6:
        whole = path.read_bytes()
        content = bytearray(whole)
        content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
        path.write_bytes(content)
        with pytest.raises(MelanomaError, match=r"expected a whole SavedModel|json") as caught:
            serving.load(copy)
        assert "\n" not in str(caught.value)
        path.write_bytes(whole)


def test_with_checksums_a_file_too_many_or_too_few_is_refused(copy):
    write_checksums(copy / "1")
    (copy / "1" / "variables" / "more").touch()
    with pytest.raises(MelanomaError, match="variables/more is not the file that was exported"):
        serving.load(copy)
    (copy / "1" / "variables" / "more").unlink()
    (copy / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(MelanomaError, match=r"variables\.index is not the file"):
        serving.load(copy)
