"""What a classifier looks at: in records and files, of a run and of its exported model."""

import csv
import dataclasses
import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import explanation_data as pipeline
from melanoma_tf.classification.data import evaluation_batches
from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.classification.explain import (
    explain_keys,
    explain_records,
    explained_records,
    load_run,
    split_of,
)
from melanoma_tf.classification.explain_files import Failure, explained_files, files_and_masks
from melanoma_tf.classification.explain_output import summarise, write_errors, write_explanations
from melanoma_tf.classification.folds import divide_by_folds
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.classification.settings import FoldSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.images.loading import load_image
from melanoma_tf.purification.purify import purify
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.serving.explainer import load_exported
from melanoma_tf.training.run_record import read_run

SIZE_PX, SHOWN_PX = 32, 40


@pytest.fixture(scope="module", autouse=True)
def dark_is_occluded():
    """In the place of the search for hairs, whose graph takes seconds to build."""

    def find_dark(image, lesion):
        dark = tf.reduce_mean(tf.cast(image, tf.float32), -1, keepdims=True) < 100
        return image, tf.where(dark, tf.constant(255, tf.uint8), tf.constant(0, tf.uint8))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "purify", find_dark)
        yield


@pytest.fixture(scope="module")
def explainer(trained_run):
    return load_run(trained_run, shown_px=SHOWN_PX, untrained=True)


@pytest.fixture(scope="module")
def looks(explainer, phantom_records):
    return list(explained_records(explainer, phantom_records, "test"))


@pytest.fixture(scope="module")
def photos(phantom_folder):
    return sorted((phantom_folder / "ISIC-2017_Training_Data").glob("*.jpg"))[:3]


@pytest.fixture(scope="module")
def masks(phantom_folder):
    return phantom_folder / "ISIC-2017_Training_Part1_GroundTruth"


def read_rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def temperature_of(run_dir):
    return json.loads((run_dir / "calibration.json").read_text())["temperature"]


def explain(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def test_records_are_explained_as_the_network_sees_them(looks, trained_run, phantom_records):
    inputs = classifier_inputs(read_run(trained_run, CLASSIFIER).settings, batch_size=64)
    batch = next(iter(evaluation_batches(phantom_records, "test", inputs)))
    saliency, logits = visual_backprop(load_classifier(trained_run))(batch["image"])
    assert [one.image_id.encode() for one in looks] == list(batch["image/key"].numpy())
    assert [one.label for one in looks] == list(batch["label"].numpy())
    probabilities = [one.probabilities for one in looks]
    expected = tf.nn.softmax(logits / temperature_of(trained_run))
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose([one.saliency for one in looks], saliency, atol=1e-4)
    assert any(np.any(one.saliency != one.untrained) for one in looks)


def test_masks_and_pictures_show_the_same_square(looks, phantom_records):
    examples = {example.key: example for example in read_examples(phantom_records, "test")}
    for one in looks:
        example = examples[one.image_id]
        mask = cv2.imdecode(np.frombuffer(example.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        margin = round(mask.shape[0] / 16)
        square = mask[margin:-margin, margin:-margin]
        expected = cv2.resize(square, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) / 255
        assert one.lesion.mean() == pytest.approx(expected.mean(), abs=0.03)
        assert np.abs(one.lesion - expected).mean() < 0.04
        assert one.occlusions.shape == one.lesion.shape
        for picture in (one.image, one.heat_map, one.overlay):
            assert picture.shape == (SHOWN_PX, SHOWN_PX, 3)
            assert picture.dtype == np.uint8


def test_occlusions_are_those_that_purification_finds(phantom_records, monkeypatch):
    monkeypatch.setattr(pipeline, "purify", purify)
    example = list(read_examples(phantom_records, "test"))[1]
    found = pipeline.look(example.image, example.mask, pipeline.View(336, 384, SHOWN_PX))
    image = load_image(example.image, 384)
    mask = tf.image.resize(tf.io.decode_png(example.mask), image.shape[:2], method="nearest")
    occlusions = purify(image, mask)[1].numpy()
    assert occlusions.any(), "expected a phantom with hairs"
    # The network sees as many pixels of the middle as there are: nothing is scaled.
    np.testing.assert_array_equal(found["occlusions"], occlusions[24:360, 24:360, 0] / 255)
    np.testing.assert_array_equal(found["lesion"], mask[24:360, 24:360, 0] / 255)


def test_single_records_come_in_the_order_asked_for_with_calibrated_probabilities(
    looks, trained_run, phantom_records, tmp_path
):
    run_dir = shutil.copytree(trained_run, tmp_path / "run")
    digest = hashlib.sha256((run_dir / "weights.npz").read_bytes()).hexdigest()
    calibration = read_checked_json(run_dir / "calibration.json")
    biases = dict(zip(calibration["class_names"], (0.5, -0.75, 0.25)))
    calibration.update(temperature=2.5, biases=biases, model_sha256=digest)
    (run_dir / "calibration.json").write_text(json.dumps(calibration))
    keys = [looks[3].image_id, f"isic2017/{looks[0].image_id}"]
    found = explain_records(run_dir, phantom_records, keys)
    assert [one.image_id for one in found] == [looks[3].image_id, looks[0].image_id]
    np.testing.assert_allclose(found[0].saliency, looks[3].saliency, atol=1e-5)
    softened = looks[3].probabilities ** (temperature_of(trained_run) / 2.5)
    softened = softened * np.exp(list(biases.values()))
    np.testing.assert_allclose(found[0].probabilities, softened / softened.sum(), atol=1e-5)
    with pytest.raises(MelanomaError, match="has no image ISIC_9 in split 'test'"):
        explain_keys(load_run(trained_run), phantom_records, "test", ["ISIC_9"])


def test_a_run_on_a_fold_is_explained_on_what_it_held_out(explainer, phantom_records):
    records = RecordSet.read(phantom_records)
    settings = FoldSettings(folds=3, fold=1)
    divided = divide_by_folds(records, settings)
    record = dataclasses.replace(
        explainer.record,
        settings=dataclasses.replace(explainer.record.settings, cross_validation=settings),
        details={"fold_assignment": divided.fingerprint},
    )
    on_a_fold = dataclasses.replace(explainer, record=record)
    seen = pipeline.encoded_records(
        split_of(on_a_fold, phantom_records, "validation"), "validation"
    )
    keys = [key for batch in seen for key in batch["image/key"].numpy()]
    inputs = classifier_inputs(record.settings, batch_size=64)
    expected = next(iter(evaluation_batches(divided, "validation", inputs)))["image/key"]
    assert keys == list(expected.numpy())
    assert len(keys) == divided.count(split="validation") > 0


def test_what_is_written_can_be_worked_out_again(looks, explainer, tmp_path):
    output = tmp_path / "out"
    outcome = write_explanations(looks, explainer, output, pictures=3)
    rows = read_rows(output / "saliency.csv")
    assert len(rows) == len(looks)
    for row, one in zip(rows, looks):
        inside = (one.saliency.astype(float) * one.lesion).sum() / one.saliency.sum()
        assert float(row["lesion_saliency"]) == pytest.approx(inside, rel=1e-4)
        assert float(row["lesion_area"]) == pytest.approx(one.lesion.mean(), rel=1e-4)
        expected = inside / one.lesion.mean()
        assert float(row["lesion_ratio"]) == pytest.approx(expected, rel=1e-4)
        inside = (one.untrained * one.lesion).sum() / one.untrained.sum()
        assert float(row["untrained_lesion_saliency"]) == pytest.approx(inside, rel=1e-4)
        assert row["label"] == explainer.class_names[one.label]
        assert bool(row["occlusions_ratio"]) == (one.occlusions.sum() > 0)
    pictures = {path.name for path in output.glob("*.png")}
    assert pictures == {f"{one.image_id}_saliency.png" for one in looks[:3]} | {"sheet.png"}
    picture = cv2.imread(str(output / f"{looks[0].image_id}_saliency.png"))[..., ::-1]
    np.testing.assert_array_equal(picture[-SHOWN_PX:, :SHOWN_PX], looks[0].image)
    np.testing.assert_array_equal(picture[-SHOWN_PX:, -SHOWN_PX:], looks[0].overlay)
    summary = json.loads((output / "summary.json").read_text())
    assert summary == outcome.summary
    mean = np.mean([float(row["lesion_saliency"]) for row in rows])
    assert summary["all"]["lesion"]["saliency_fraction"] == pytest.approx(mean)
    means = [summary[group]["lesion"] for group in ("right", "wrong")]
    assert sum(mean["images"] for mean in means if mean) == summary["all"]["lesion"]["images"]
    assert summarise(outcome.rows)["images"] == len(rows)
    with pytest.raises(MelanomaError, match="exists"):
        write_explanations(looks, explainer, output)
    with pytest.raises(MelanomaError, match=r"found none: broken.jpg: truncated"):
        write_explanations([Failure("broken.jpg", "truncated")], explainer, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_mistakes_are_those_of_the_predictions_the_most_confident_first(
    explainer, trained_run, phantom_records, tmp_path
):
    evaluate_classifier(trained_run, phantom_records, output=tmp_path)
    predictions = read_rows(tmp_path / "predictions.csv")
    names = explainer.class_names
    written = 0
    for name in names:
        output = tmp_path / name
        counts = write_errors(explainer, phantom_records, output, class_name=name, count=2)
        likeliest = {
            row["image_id"]: max(names, key=lambda each, row=row: float(row[each]))
            for row in predictions
        }
        by_score = sorted(predictions, key=lambda row, name=name: float(row[name]))
        ids = [row["image_id"] for row in by_score]
        label = {row["image_id"]: row["label"] for row in predictions}
        missed = [one for one in ids if label[one] == name != likeliest[one]]
        mistaken = [one for one in ids[::-1] if label[one] != name == likeliest[one]]
        expected = {"false_positives": mistaken, "false_negatives": missed}
        assert counts == {kind: (min(2, len(each)), len(each)) for kind, each in expected.items()}
        shown = [(one, kind[:-1]) for kind, each in expected.items() for one in each[:2]]
        if not shown:
            assert not output.exists()
            continue
        written += 1
        rows = read_rows(output / "saliency.csv")
        assert [(row["image_id"], row["error"]) for row in rows] == shown
        for kind, each in expected.items():
            assert (output / f"{kind}.png").exists() == bool(each)
    assert written, "a network of one epoch makes mistakes"
    with pytest.raises(MelanomaError, match="expected a class out of melanoma, nevus"):
        write_errors(explainer, phantom_records, tmp_path / "x", class_name="wart", count=2)


def test_files_are_explained_alike_by_a_run_and_its_exported_model(
    trained_run, exported, photos, masks, tmp_path
):
    for option, source in (("--run-dir", trained_run), ("--model", exported)):
        output = tmp_path / option
        result = explain(
            *photos, option, source, "--masks", masks, "--output", output, "--picture-size", 48
        )
        assert result.exit_code == 0, result.output
        assert "lesion" in result.output
    tables = [read_rows(tmp_path / name / "saliency.csv") for name in ("--run-dir", "--model")]
    assert [row["image_id"] for row in tables[0]] == [photo.stem for photo in photos]
    for ours, theirs in zip(*tables):
        for column in ("melanoma", "lesion_area", "lesion_saliency", "occlusions_area"):
            assert float(ours[column]) == pytest.approx(float(theirs[column]), abs=1e-5)
    seen = tf.io.read_file(str(photos[0]))[tf.newaxis]
    answer = tf.saved_model.load(str(exported / "1")).signatures["explain"](images=seen)
    assert answer["saliency"].shape == (1, SIZE_PX, SIZE_PX)
    nothing = load_exported(exported).explain(tf.constant([], tf.string))
    assert nothing["saliency"].shape == (0, SIZE_PX, SIZE_PX)


def test_bad_files_and_masks_are_named_and_the_others_explained(explainer, photos, masks, tmp_path):
    broken, text, other = (tmp_path / name for name in ("broken.jpg", "text.png", "other.jpg"))
    broken.write_bytes(photos[0].read_bytes()[:500])
    text.write_text("no image")
    other.write_bytes(photos[0].read_bytes())
    cv2.imwrite(str(tmp_path / "other_segmentation.png"), np.full((5, 7), 255, np.uint8))
    results = list(explained_files(explainer, [broken, photos[0], text, other], tmp_path))
    assert [isinstance(one, Failure) for one in results] == [True, False, True, True]
    assert results[1].image_id == photos[0].stem
    assert results[1].lesion is None
    assert "truncated" in results[0].reason
    assert "expected a mask of its size, 48x48" in results[3].reason
    assert "has 7x5" in results[3].reason


def test_a_turned_photograph_is_explained_upright(explainer, photos, tmp_path):
    image, exif = Image.open(photos[0]).crop((0, 0, 48, 40)), Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    lesion = np.zeros((40, 48), np.uint8)
    lesion[:, :24] = 1
    Image.fromarray(lesion).save(tmp_path / "turned_lesion.bmp")
    found, without = files_and_masks([tmp_path], tmp_path)
    assert (found.paths, without) == ((path,), [])
    (result,) = explained_files(explainer, found.paths, tmp_path)
    # The left half is lesion, as it is on the upright image.
    assert result.lesion[:, : SIZE_PX // 4].min() == 1
    assert result.lesion[:, -SIZE_PX // 4 :].max() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either --run-dir or --model; found neither"),
        (["{photo}", "--run-dir", "{run}", "--model", "{run}"], "found both"),
        (["--model", "{photos}", "--baseline"], "expected --baseline with --run-dir"),
        (["{photo}", "--run-dir", "{run}", "--errors", "3"], "either image files, or --records"),
        (["--run-dir", "{run}", "--masks", "{photos}"], "records bring their own"),
        (["--run-dir", "{run}", "--class", "nevus"], "--class with --errors only"),
        (["{photo}", "--run-dir", "{photos}"], "expected a run folder"),
        (["{photo}", "--model", "{run}"], "expected an exported model at"),
        (["{photo}", "--run-dir", "{run}", "--masks", "{run}"], "found none for any of 1 images"),
        (["{photo}", "{copy}", "--run-dir", "{run}"], "expected images of different names"),
        (["--run-dir", "{run}", "--records", "{photos}"], "no manifest.json"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_one_line(
    arguments, message, trained_run, photos, tmp_path
):
    copy = tmp_path / photos[0].name
    shutil.copyfile(photos[0], copy)
    places = {"photo": photos[0], "photos": photos[0].parent, "run": trained_run, "copy": copy}
    output = tmp_path / "out"
    given = [each.format(**places) for each in arguments]
    result = explain(*given, "--output", output)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not output.exists()


def test_records_of_other_classes_and_models_without_the_signature_are_refused(
    explainer, phantom_records, tmp_path
):
    other = tmp_path / "records"
    other.mkdir()
    manifest = read_checked_json(phantom_records / "manifest.json")
    (other / "manifest.json").write_text(
        json.dumps({**manifest, "class_names": ["melanoma", "nevus", "wart"], "shards": []})
    )
    with pytest.raises(MelanomaError, match=r"was trained on .*; .* has melanoma, nevus, wart"):
        next(explained_records(explainer, other, "test"))

    class Old(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, images):
            count = tf.size(images)
            names = tf.fill([count, 3], "nevus")
            return {"probabilities": tf.zeros([count, 3]), "classes": names, "mask_bytes": images}

    old = Old()
    tf.saved_model.save(old, str(tmp_path / "old" / "1"), signatures=old.serve)
    (tmp_path / "old" / "1" / "metadata.json").write_text(json.dumps({"task": "classification"}))
    with pytest.raises(MelanomaError, match="found one exported without"):
        load_exported(tmp_path / "old")
    (tmp_path / "old" / "1" / "metadata.json").write_text(json.dumps({"task": "segmentation"}))
    with pytest.raises(MelanomaError, match="expected a classifier; found a segmenter"):
        load_exported(tmp_path / "old")
