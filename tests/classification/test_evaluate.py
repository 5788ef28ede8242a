"""Ensembles, views, purification, calibration and thresholds, as `evaluate` applies them."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import softmax
from scipy.stats import rankdata

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification import evaluate as evaluation
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.evaluate import calibrate_classifier, evaluate_classifier
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.evaluation.temperature import fit_temperature
from melanoma_tf.images import loading
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.writer import Description, write_records
from melanoma_tf.training.run_record import read_run
from melanoma_tf.training.weights import write_weights

SIZE = 32
SHORT = EvaluationSettings(rounds=0)


@pytest.fixture(scope="module", autouse=True)
def _no_report():
    """Reports have tests of their own, and take longer to draw than these scores to compute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "write_report", lambda *_, **options: None)
        yield


def read_rows(path):
    with (path / "predictions.csv").open() as stream:
        return list(csv.DictReader(stream))


def scores_of(path, names):
    return np.array([[float(row[name]) for name in names] for row in read_rows(path)])


@pytest.fixture(scope="module")
def another_run(trained_run, tmp_path_factory):
    """A function that makes a run like the trained one, of other weights and other settings."""
    base = tmp_path_factory.mktemp("other_runs")

    def make(name, seed=1, class_names=None, **changes):
        model = load_classifier(trained_run)
        random = np.random.default_rng(seed)
        model.set_weights([w + random.normal(0, 0.3, w.shape) for w in model.get_weights()])
        (base / name).mkdir()
        write_weights(model, base / name / "weights.npz")
        record = read_run(trained_run, CLASSIFIER)
        record = dataclasses.replace(
            record,
            class_names=class_names or record.class_names,
            settings=dataclasses.replace(record.settings, **changes),
        )
        (base / name / "config.json").write_text(json.dumps(record.to_json()))
        return base / name

    return make


@pytest.fixture(scope="module")
def second(another_run, phantom_records):
    run = another_run("second")
    calibrate_classifier(run, phantom_records)
    return run


@pytest.fixture(scope="module")
def images(phantom_records):
    """The test images as a network of 32 px sees them, by key."""
    cut = {}
    for one in read_examples(phantom_records, "test"):
        cut[one.key] = loading.centre_crop(loading.load_image(one.image, 37), SIZE).numpy()
    return cut


def expected_probabilities(run, images, temperature, views):
    model = load_classifier(run)
    stacked = np.stack(list(images))
    seen = [model(np.ascontiguousarray(view(stacked))).numpy() for view in views]
    return np.mean([softmax(logits / temperature, axis=1) for logits in seen], axis=0)


FOUR_VIEWS = (
    lambda x: x,
    lambda x: x[:, ::-1],
    lambda x: x[:, :, ::-1],
    lambda x: np.rot90(x, 2, axes=(1, 2)),
)


@pytest.fixture(scope="module")
def ensemble(trained_run, second, phantom_records, tmp_path_factory):
    """Two calibrated runs, four views: metrics and the folder of the two files."""
    output = tmp_path_factory.mktemp("ensemble")
    settings = EvaluationSettings(tta=4, rounds=20)
    metrics = evaluate_classifier(
        [trained_run, second], phantom_records, settings, output=output, overwrite=True
    )
    return metrics, output


def test_an_ensemble_averages_calibrated_views_of_every_run(ensemble, trained_run, second, images):
    metrics, output = ensemble
    rows = read_rows(output)
    ordered = [images[row["image_id"]] for row in rows]
    temperatures = [run["temperature"] for run in metrics["runs"]]
    assert all(temperature != 1 for temperature in temperatures)
    expected = np.mean(
        [
            expected_probabilities(run, ordered, temperature, FOUR_VIEWS)
            for run, temperature in zip((trained_run, second), temperatures)
        ],
        axis=0,
    )
    np.testing.assert_allclose(scores_of(output, metrics["classes"]), expected, atol=1e-6)
    assert metrics["calibrated"] is True
    assert (metrics["tta"], metrics["purify"], metrics["scores"]) == (4, "none", "probabilities")
    assert metrics["interval"]["auc"]["melanoma"]["low"] <= metrics["auc"]["melanoma"]
    points = metrics["operating_points"]
    assert points["carried_over"] is None, "no run's thresholds are those of the ensemble"
    assert points["chosen_on_this_set"]["melanoma"]["0.82"]["sensitivity"] >= 0.82
    saved = read_checked_json(output / "metrics.json")
    assert saved == metrics


def test_ranks_are_averaged_and_called_no_probabilities(
    trained_run, second, phantom_records, tmp_path
):
    names = ("melanoma", "nevus", "seborrheic_keratosis")
    for run, name in ((trained_run, "a"), (second, "b")):
        settings = dataclasses.replace(SHORT, calibrated=False)
        evaluate_classifier(run, phantom_records, settings, output=tmp_path / name)
    settings = dataclasses.replace(SHORT, combine="ranks", calibrated=False)
    metrics = evaluate_classifier(
        [trained_run, second], phantom_records, settings, output=tmp_path / "ranks"
    )
    ranks = [rankdata(scores_of(tmp_path / name, names), axis=0) for name in ("a", "b")]
    expected = (np.mean(ranks, axis=0) - 1) / (len(ranks[0]) - 1)
    np.testing.assert_allclose(scores_of(tmp_path / "ranks", names), expected, atol=1e-12)
    assert metrics["scores"] == "ranks"
    assert metrics["are_probabilities"] is False
    assert metrics["expected_calibration_error"] is None
    assert "no probabilities" in metrics["undefined"]["brier_score"]
    with pytest.raises(MelanomaError, match="no threshold carries over"):
        EvaluationSettings(combine="ranks", operating_points="metrics.json")


def test_purification_is_switched_on_and_off_whatever_the_run_was_trained_with(
    trained_run, another_run, phantom_records, images, tmp_path, monkeypatch
):
    """What the op does is tested elsewhere: here it turns images into their negatives."""
    monkeypatch.setattr(pipeline, "purify", lambda image: (255 - image, None))
    purifying = another_run("purifying", seed=3, purify="both")
    for run, method, seen in (
        (trained_run, "classical", lambda image: 255 - image),
        (purifying, "none", lambda image: image),
    ):
        settings = dataclasses.replace(SHORT, purify=method, calibrated=False)
        output = tmp_path / method
        metrics = evaluate_classifier(run, phantom_records, settings, output=output)
        ordered = [seen(images[row["image_id"]]) for row in read_rows(output)]
        expected = expected_probabilities(run, ordered, 1.0, FOUR_VIEWS[:1])
        np.testing.assert_allclose(scores_of(output, metrics["classes"]), expected, atol=1e-5)
        assert metrics["purify"] == method


def test_calibration_is_fitted_on_validation_and_carried_over(second, phantom_records, tmp_path):
    calibration = read_calibration(second)
    fitted_on = calibration["fitted_on"]
    assert (fitted_on["split"], fitted_on["tta"], fitted_on["purify"]) == ("validation", 1, "none")
    examples = list(read_examples(phantom_records, "validation"))
    assert fitted_on["n"] == len(examples)
    assert sum(fitted_on["n_per_class"].values()) == len(examples)
    cut = [loading.centre_crop(loading.load_image(one.image, 37), SIZE) for one in examples]
    logits = load_classifier(second)(np.stack(cut)).numpy()
    labels = np.array([one.label for one in examples])
    expected = fit_temperature(logits, labels).value
    assert calibration["temperature"] == pytest.approx(expected, rel=1e-3)
    raw, better = calibration["raw"], calibration["calibrated"]
    assert better["negative_log_likelihood"] <= raw["negative_log_likelihood"]

    metrics = evaluate_classifier(second, phantom_records, SHORT, output=tmp_path)
    points = metrics["operating_points"]
    origin = points["carried_over_from"]
    assert origin["same_images"] is False
    assert origin["differences"] == []
    rows = read_rows(tmp_path)
    for name in metrics["classes"]:
        for wanted, threshold in calibration["thresholds"][name].items():
            called = np.array([float(row[name]) >= threshold for row in rows])
            is_class = np.array([row["label"] == name for row in rows])
            point = points["carried_over"][name][wanted]
            assert point["sensitivity"] == pytest.approx(called[is_class].mean())
            assert point["specificity"] == pytest.approx((~called[~is_class]).mean())


def test_thresholds_come_from_a_file_and_differences_are_named(
    ensemble, trained_run, second, phantom_records, tmp_path
):
    settings = dataclasses.replace(
        SHORT, split="validation", operating_points=str(ensemble[1] / "metrics.json")
    )
    metrics = evaluate_classifier([trained_run, second], phantom_records, settings, output=tmp_path)
    points = metrics["operating_points"]
    chosen = ensemble[0]["operating_points"]["chosen_on_this_set"]["melanoma"]["0.89"]
    assert points["carried_over"]["melanoma"]["0.89"]["threshold"] == chosen["threshold"]
    assert points["carried_over_from"]["differences"] == ["tta 4, here 1"]
    assert points["carried_over_from"]["chosen_on"]["split"] == "test"
    (tmp_path / "other.json").write_text("{}")
    settings = dataclasses.replace(settings, operating_points=str(tmp_path / "other.json"))
    with pytest.raises(MelanomaError, match=r"other.json: expected a calibration.json, or"):
        evaluate_classifier(second, phantom_records, settings, output=tmp_path / "out")


def test_a_calibration_of_another_model_or_none_is_one_line(
    another_run, second, phantom_records, tmp_path
):
    bare = another_run("bare", seed=2)
    settings = dataclasses.replace(SHORT, calibrated=True)
    with pytest.raises(MelanomaError, match="bare has none: fit it with calibrate"):
        evaluate_classifier([second, bare], phantom_records, settings, output=tmp_path / "out")
    shutil.copy(second / "calibration.json", bare)
    with pytest.raises(MelanomaError, match="found one of another model"):
        evaluate_classifier(bare, phantom_records, SHORT, output=tmp_path / "out")
    (bare / "calibration.json").write_text("[]")
    with pytest.raises(MelanomaError, match="expected a calibration; found other JSON"):
        evaluate_classifier(bare, phantom_records, SHORT, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_does_not_belong_together_is_one_line(
    another_run, trained_run, second, phantom_records, tmp_path
):
    def refused(message, runs, records, settings=SHORT, output=tmp_path / "out"):
        with pytest.raises(MelanomaError, match=message) as caught:
            evaluate_classifier(runs, records, settings, output=output)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    refused("expected --output with 2 runs", [trained_run, second], phantom_records, output=None)
    refused("is given twice", [second, second], phantom_records)
    names = read_run(trained_run, CLASSIFIER).class_names
    turned = another_run("turned", class_names=names[::-1])
    refused("same classes in the same order", [trained_run, turned], phantom_records)
    refused("was trained on the classes seborrheic_keratosis, nevus, mel", turned, phantom_records)
    copy = tmp_path / "copy"
    shutil.copytree(phantom_records, copy)
    refused(r"expected each image once; \S+ is in \S+copy and in", second,
            [phantom_records, copy])  # fmt: skip
    manifest = read_checked_json(copy / "manifest.json")
    manifest["shards"] = [one for one in manifest["shards"] if one["split"] != "test"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused("copy has no examples in split 'test'", second, [phantom_records, copy])
    with pytest.raises(
        MelanomaError, match="expected purify out of none, classical, network; found magic"
    ):
        EvaluationSettings(purify="magic")


def test_patients_of_two_sources_who_share_a_number_are_two(trained_run, phantom_records, tmp_path):
    folders = []
    first, other = list(read_examples(phantom_records, "test"))[:2]
    for source, one in (("ph2", first), ("dermofit", other)):
        made = dataclasses.replace(one, source=source, patient_id="7")
        class_names = read_run(trained_run, CLASSIFIER).class_names
        sources = {source: {"licence": "none", "attribution": "made"}}
        description = Description("isic2017", class_names, {}, sources)
        write_records([made], tmp_path / source, description)
        folders.append(tmp_path / source)
    evaluate_classifier(trained_run, folders, SHORT, output=tmp_path / "both")
    assert [row["patient_id"] for row in read_rows(tmp_path / "both")] == ["ph2/7", "dermofit/7"]
    evaluate_classifier(trained_run, folders[0], SHORT, output=tmp_path / "one")
    assert [row["patient_id"] for row in read_rows(tmp_path / "one")] == ["7"]


def test_the_commands_say_what_they_did(second, phantom_records, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second, run)
    invoke = CliRunner().invoke
    command = ["calibrate", "--run-dir", run, "--records", phantom_records, "--tta", "2"]
    refused = invoke(main, list(map(str, command)))
    assert refused.exit_code == 1
    assert "calibration.json exists" in refused.output
    done = invoke(main, [*map(str, command), "--overwrite"], catch_exceptions=False)
    assert "temperature" in done.output
    assert read_calibration(run)["fitted_on"]["tta"] == 2
    command = ["evaluate", "--run-dir", run, "--records", phantom_records, "--rounds", "20"]
    done = invoke(main, list(map(str, command)), catch_exceptions=False)
    assert done.exit_code == 0
    assert "Thresholds carried over from" in done.output
    assert "the thresholds were chosen otherwise: tta 2, here 1" in done.output
    assert "Scores are probabilities, calibrated." in done.output
