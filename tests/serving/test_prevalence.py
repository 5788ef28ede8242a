"""Biases and another prevalence, from `calibrate` to the served model, as commands apply them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.metrics import log_loss

from melanoma_tf.backbones.classifier import load_classifier as load_network
from melanoma_tf.classification import evaluate as evaluation
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.images import loading
from melanoma_tf.records.read import read_examples
from melanoma_tf.serving.export import export_run
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.settings import ExportSettings, PredictionSettings

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")
OWN = dict(zip(NAMES, (0.05, 0.8, 0.15)))
OPTION = ",".join(f"{name}={value}" for name, value in OWN.items())


@pytest.fixture(autouse=True)
def _no_report(monkeypatch):
    """Reports have tests of their own, and take longer to draw than these scores to compute."""
    monkeypatch.setattr(evaluation, "write_report", lambda *_, **options: None)


@pytest.fixture(scope="module")
def corrected(trained_run, phantom_records, tmp_path_factory, invoke_command):
    """The trained run, calibrated with biases; and what the command said."""
    run = tmp_path_factory.mktemp("corrected") / "run"
    shutil.copytree(trained_run, run)
    done = invoke_command(
        "calibrate", "--run-dir", run, "--records", phantom_records, "--method", "bias-corrected",
        "--overwrite",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return run, done.stdout


@pytest.fixture(scope="module")
def served(corrected, phantom_records, tmp_path_factory):
    """The run's model at the prevalence of `OPTION`, scored at another: the version's folder."""
    base = tmp_path_factory.mktemp("served")
    run = shutil.copytree(corrected[0], base / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "write_report", lambda *_, **options: None)
        evaluated(run, phantom_records, run, prevalence="equal")
    return export_run(run, base / "model", ExportSettings(saliency=False, prevalence=OPTION))


def logits_of(run, records, split):
    """Logits and labels of a split, seen as a network of 32 px does."""
    examples = list(read_examples(records, split))
    cut = [loading.centre_crop(loading.load_image(one.image, 37), 32) for one in examples]
    logits = load_network(run)(np.stack(cut)).numpy().astype(np.float64)
    return examples, logits, np.array([one.label for one in examples])


def evaluated(run, records, output, **options):
    """The metrics, and scores by image."""
    settings = EvaluationSettings(rounds=0, **options)
    metrics = evaluation.evaluate_classifier(run, records, settings, output=output)
    found = read_predictions(output / "predictions.csv")
    return metrics, dict(zip(found.image_ids, found.scores))


def test_calibrate_fits_biases_and_says_so(corrected, phantom_records):
    run, printed = corrected
    calibration = read_calibration(run)
    _, logits, labels = logits_of(run, phantom_records, "validation")
    counts = [calibration["fitted_on"]["n_per_class"][name] for name in NAMES]
    assert counts == np.bincount(labels).tolist()
    found = [calibration["biases"][name] for name in NAMES]

    def loss(values):
        scaled = logits / np.clip(np.exp(values[0]), 0.05, 20)
        return log_loss(labels, softmax(scaled + [0, *values[1:]], axis=1))

    options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
    searched = minimize(loss, np.zeros(3), method="Nelder-Mead", options=options)
    told = calibration["calibrated"]["negative_log_likelihood"]
    assert told == pytest.approx(searched.fun, rel=1e-5)
    np.testing.assert_allclose(np.subtract(found[1:], found[0]), searched.x[1:], atol=1e-3)
    assert f"biases melanoma {found[0]:+.3f}, nevus {found[1]:+.3f}" in printed


def test_evaluate_predict_and_the_served_model_agree_at_each_prevalence(
    corrected, served, phantom_records, tmp_path
):
    run, _ = corrected
    calibration = read_calibration(run)
    biases = np.array([calibration["biases"][name] for name in NAMES])
    counts = np.array([calibration["fitted_on"]["n_per_class"][name] for name in NAMES])
    examples, logits, _ = logits_of(run, phantom_records, "test")
    fitted = softmax(logits / calibration["temperature"] + biases, axis=1)
    files = [tmp_path / f"{one.key}.{one.image_format}" for one in examples]
    for file, one in zip(files, examples):
        file.write_bytes(one.image)
    for given, target in ((None, None), ("equal", [1 / 3] * 3), (OPTION, list(OWN.values()))):
        expected = fitted * (1 if target is None else np.array(target) / (counts / counts.sum()))
        expected /= expected.sum(axis=1, keepdims=True)
        metrics, scores = evaluated(run, phantom_records, tmp_path / str(given), prevalence=given)
        ordered = [scores[one.key] for one in examples]
        np.testing.assert_allclose(ordered, expected, atol=1e-5)
        assert metrics["prevalence"] == (target and pytest.approx(dict(zip(NAMES, target))))
        applied = metrics["runs"][0]["biases"]
        moved = 0 if target is None else np.log(target) - np.log(counts / counts.sum())
        np.testing.assert_allclose([applied[name] for name in NAMES], biases + moved, atol=1e-12)
    answers = [answer.probabilities for answer in load_classifier(served.parent).predict(files)]
    np.testing.assert_allclose(answers, ordered, atol=1e-6)


def test_files_are_classified_at_a_prevalence_as_records_are(
    corrected, phantom_records, tmp_path, invoke_command, tiny_backbone
):
    run, _ = corrected
    _, scores = evaluated(run, phantom_records, tmp_path / "o", prevalence=OPTION)
    one = next(iter(read_examples(phantom_records, "test")))
    file = tmp_path / f"{one.key}.{one.image_format}"
    file.write_bytes(one.image)
    done = invoke_command("predict", "--run-dir", run, file, "--prevalence", OPTION, "--json", "-")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    found = [answer["probabilities"][name] for name in NAMES]
    np.testing.assert_allclose(found, scores[one.key], atol=1e-5)


def test_thresholds_of_another_prevalence_are_warned_of(
    corrected, phantom_records, tmp_path, invoke_command
):
    run, _ = corrected
    command = ("evaluate", "--run-dir", run, "--records", phantom_records, "--rounds", 0)
    done = invoke_command(*command, "--prevalence", "equal", "--output", tmp_path / "equal")
    assert done.returncode == 0, done.stderr
    words = "melanoma 0.3333, nevus 0.3333, seborrheic_keratosis 0.3333"
    assert f"prevalence of the fitted images, here {words}" in done.stderr
    assert f"calibrated, for the class frequencies {words}." in done.stdout
    earlier = tmp_path / "equal" / "metrics.json"
    points = evaluated(run, phantom_records, tmp_path / "a", operating_points=str(earlier))[0]
    (told,) = points["operating_points"]["carried_over_from"]["differences"]
    assert told == f"prevalence {words}, here of the fitted images"
    # A file from before there was such an option is of the fitted images.
    older = read_checked_json(earlier)
    del older["prevalence"]
    (tmp_path / "older.json").write_text(json.dumps(older))
    options = {"operating_points": str(tmp_path / "older.json")}
    points = evaluated(run, phantom_records, tmp_path / "b", **options)[0]["operating_points"]
    assert points["carried_over_from"]["differences"] == []


def test_an_exported_model_says_its_prevalence_and_has_no_thresholds(served, corrected):
    signature = tf.saved_model.load(str(served)).signatures["serving_default"]
    assert not any(name.startswith("above") for name in signature.structured_outputs)
    metadata = json.loads((served / "metadata.json").read_text())
    assert metadata["prevalence"] == OWN
    assert metadata["operating_points"] == {}
    card = (served / "model_card.md").read_text()
    bias = read_calibration(corrected[0])["biases"]["nevus"]
    assert f"nevus {bias:+.4f}" in card
    assert "assume the class frequencies melanoma 0.05, nevus 0.8, seborr" in card
    assert "probabilities at the class frequencies melanoma 0.3333, nevus 0.3333" in card


def test_what_no_prevalence_can_be_applied_to_is_refused(
    corrected, trained_run, phantom_records, tmp_path, invoke_command
):
    run, _ = corrected
    bare = tmp_path / "bare"
    shutil.copytree(trained_run, bare)
    (bare / "calibration.json").unlink()
    settings = EvaluationSettings(rounds=0, prevalence="equal")
    for runs, found in (([run, trained_run], "one temperature"), ([run, bare], "none")):
        message = f"{runs[1].name}: expected a bias-corrected calibration .* found {found}: fit it "
        with pytest.raises(MelanomaError, match=message + "with calibrate --method bias-corrected"):
            evaluation.evaluate_classifier(runs, phantom_records, settings, output=tmp_path / "o")
    with pytest.raises(MelanomaError, match="found one temperature: fit it"):
        export_run(trained_run, tmp_path / "model", ExportSettings(prevalence="equal"))
    settings = dataclasses.replace(settings, prevalence="melanoma=0.5,nevus=0.5")
    with pytest.raises(MelanomaError, match="found no seborrheic_keratosis"):
        evaluation.evaluate_classifier(run, phantom_records, settings, output=tmp_path / "o")
    assert not (tmp_path / "o").exists()
    for kind in (EvaluationSettings, PredictionSettings):
        with pytest.raises(MelanomaError, match="expected --prevalence without --raw"):
            kind(prevalence="equal", calibrated=False)
    for kind in (EvaluationSettings, PredictionSettings, ExportSettings):
        with pytest.raises(MelanomaError, match=r"adds up to 1; found a sum of 0\.9"):
            kind(prevalence="melanoma=0.5,nevus=0.4")
    image = run / "image.jpg"
    image.write_bytes(next(iter(read_examples(phantom_records, "test"))).image)
    done = invoke_command("predict", image, "--model", tmp_path, "--prevalence", "equal")
    assert done.returncode == 1
    assert "expected --prevalence with --run-dir; an exported model is fixed" in done.stderr
