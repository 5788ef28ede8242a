"""`score classifier` and `compare` as a user runs them."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, roc_curve

from melanoma_tf.evaluation.predictions import Predictions, read_predictions, write_predictions
from melanoma_tf.evaluation.truth import read_truth

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


@pytest.fixture
def logits(tmp_path):
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    scores = 3 * generator.normal(size=(120, 3)) + 3 * np.eye(3)[labels]
    ids = tuple(f"ISIC_{index:07d}" for index in range(120))
    path = tmp_path / "predictions.csv"
    patients = tuple(f"p{index // 2}" for index in range(120))
    write_predictions(path, Predictions(ids, scores, NAMES, labels, patients))
    return path


def test_json_has_the_documented_keys_and_the_screen_the_scores(logits, tmp_path, invoke_command):
    output = tmp_path / "scores.json"
    done = invoke_command("score", "classifier", logits, "--json", output, "--rounds", 50)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    read = read_predictions(logits)
    expected = roc_auc_score(read.labels == 0, read.scores[:, 0])
    assert found["n"] == 120
    assert found["classes"] == list(NAMES)
    assert found["auc"]["melanoma"] == pytest.approx(expected)
    assert set(found["specificity_at_sensitivity"]["nevus"]) == {"0.82", "0.89", "0.95"}
    assert set(found["average_precision"]) == set(NAMES)
    for key in ("accuracy", "balanced_accuracy", "mean_auc_isic2017"):
        assert found["interval"][key]["low"] <= found[key] <= found["interval"][key]["high"]
    assert np.sum(found["confusion_matrix"]) == 120
    assert found["bootstrap"] == {
        "rounds": 50, "seed": 0, "level": 0.95, "unit": "patient", "units": 60
    }  # fmt: skip
    assert f"{expected:.3f}" in done.stdout
    assert "no probabilities, used as given" in done.stdout
    assert "60 patients" in done.stdout

    again = invoke_command("score", "classifier", logits, "--json", output)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr


def test_softmax_and_truth_and_taxonomy(logits, tmp_path, invoke_command):
    output = tmp_path / "scores.json"
    done = invoke_command("score", "classifier", logits, "--softmax", "--rounds", 0,
                       "--taxonomy", "isic2017", "--min-tpr", 0.9, "--json", output)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    read = read_predictions(logits)
    expected = roc_auc_score(read.labels == 0, softmax(read.scores, axis=1)[:, 0])
    assert found["auc"]["melanoma"] == pytest.approx(expected)
    assert found["brier_score"] is not None
    assert found["min_tpr"] == 0.9
    assert "interval" not in found
    assert "probabilities, after softmax" in done.stdout


def test_official_truth_of_isic2018(real_data, tmp_path, invoke_command):
    path = real_data / "labels" / "ISIC2018_Task3_Test_GroundTruth.csv"
    truth = read_truth(path)
    scores = np.random.default_rng(0).random((1512, 7)) + 0.5 * truth.membership
    header = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    lines = [header] + [
        ",".join([image, *map(str, row)]) for image, row in zip(truth.image_ids, scores)
    ]
    submission, output = tmp_path / "submission.csv", tmp_path / "scores.json"
    submission.write_text("\n".join(lines) + "\n")
    done = invoke_command("score", "classifier", submission, "--truth", path, "--rounds", 20,
                       "--json", output)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert found["excluded"] == ["ISIC_0035068"]
    scored = np.array(truth.image_ids) != "ISIC_0035068"
    right = scores.argmax(axis=1) == truth.labels
    recalls = [right[scored & (truth.labels == index)].mean() for index in range(7)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_sensitivities_curves_and_strictness_by_option(tmp_path, invoke_command):
    truth, submission = tmp_path / "truth.csv", tmp_path / "submission.csv"
    truth.write_text("image,MEL,NV\n" + "".join(f"i{n},{n % 2},{1 - n % 2}\n" for n in range(8)))
    rows = [(f"i{n}", 0.4 - 0.3 * (n % 2) ** n, 0.1 * n) for n in range(8)]
    submission.write_text("image,MEL,NV\n" + "".join(f"{i},{m},{v}\n" for i, m, v in rows))
    output = tmp_path / "scores.json"
    arguments = ("score", "classifier", submission, "--truth", truth, "--rounds", 0)
    done = invoke_command(
        *arguments, "--strict", "--roc", "--sensitivity", 0.98, "--sensitivity", 0.5,
        "--json", output,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert set(found["specificity_at_sensitivity"]["nevus"]) == {"0.98", "0.5"}
    assert found["ppv"]["melanoma"] == 1.0  # never called: the official convention
    assert "By the official conventions" in done.stdout
    expected = roc_curve([n % 2 == 0 for n in range(8)], [v for _, _, v in rows])
    curve = found["roc"]["nevus"]
    assert curve["false_positive_rate"] == expected[0].tolist()
    assert curve["true_positive_rate"] == expected[1].tolist()
    assert curve["threshold"] == [None, *expected[2][1:].tolist()]

    submission.write_text(submission.read_text().replace(",", ";"))
    lenient = invoke_command(*arguments)
    assert lenient.returncode == 0
    assert "note:" in lenient.stderr
    assert "cells are separated by semicolons" in lenient.stderr
    assert "PPV at 0.5" in lenient.stdout
    assert "no score of melanoma above 0.5" in lenient.stdout
    strict = invoke_command(*arguments, "--strict")
    assert strict.returncode == 1
    assert "expected a column 'image'" in strict.stderr


def test_compare_prints_differences_and_writes_json(logits, tmp_path, invoke_command):
    read = read_predictions(logits)
    better = tmp_path / "better.csv"
    scores = read.scores + 2 * np.eye(3)[read.labels]
    write_predictions(better, Predictions(read.image_ids, scores, NAMES, read.labels))
    output = tmp_path / "comparison.json"
    done = invoke_command("compare", logits, better, "--rounds", 50, "--json", output)
    assert done.returncode == 0, done.stderr
    rows = {row["metric"]: row for row in json.loads(output.read_text())["metrics"]}
    assert rows["accuracy"]["difference"] > 0
    assert f"{rows['auc.melanoma']['difference']:.3f}" in done.stdout
    assert "60 patients" in done.stdout


def test_bad_input_is_one_line_and_exit_code_one(logits, tmp_path, invoke_command):
    (tmp_path / "truth.csv").write_text("image_id,label\nISIC_9999999,nevus\n")
    for arguments, named in (
        (("score", "classifier", logits, "--truth", tmp_path / "truth.csv"), "ISIC_9999999"),
        (("score", "classifier", logits, "--taxonomy", "isic2018"), "seborrheic_keratosis"),
        (("score", "classifier", logits, "--taxonomy", "isic1999"), "isic1999"),
        (("score", "classifier", tmp_path / "nowhere.csv"), "nowhere.csv"),
        (("compare", logits, tmp_path), str(tmp_path)),
    ):
        done = invoke_command(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr.strip().splitlines()) == 1
        assert named in done.stderr


@pytest.mark.parametrize("command", [("score",), ("score", "classifier"), ("compare",)])
def test_help_has_an_example_and_imports_nothing_heavy(command, run_command):
    done = run_command(*command, "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    example = done.stdout.split("Example:\n")[1]
    assert example.strip().startswith("melanoma-tf " + command[0])
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"numpy", "tensorflow", "sklearn"}
