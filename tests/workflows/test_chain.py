"""The main job from end to end, as a user types it, on a real data set and on phantoms."""

import csv
import json

import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score, roc_auc_score

from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError


def read_rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_the_commands_of_the_tour(tiny_backbone, real_data, tmp_path, monkeypatch):
    """From the ISIC 2017 folder to predictions of an exported model."""
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "isic2017"
    (raw / "ISIC-2017_Training_Data").mkdir(parents=True)
    for image in sorted((real_data / "isic2017" / "ISIC-2017_Training_Data").glob("*.jpg"))[::6]:
        (raw / "ISIC-2017_Training_Data" / image.name).symlink_to(image)
    for name in (
        "ISIC-2017_Training_Part1_GroundTruth",
        "ISIC-2017_Training_Part3_GroundTruth.csv",
    ):
        (raw / name).symlink_to(real_data / "isic2017" / name)
    for command in (
        f"build-records --add isic2017={raw} --taxonomy isic2017 --output records --image-size 48",
        "verify-records records",
        "inspect records",
        "train classifier --records records --run-dir run --backbone small --weights none "
        "--epochs 1 --batch-size 16",
        "evaluate --run-dir run --records records --split test",
        "export --run-dir run --output model",
        f"predict --model model {raw}/ISIC-2017_Training_Data --output predictions.csv",
    ):
        done = CliRunner().invoke(main, command.split(), catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.output}"
    rows = read_rows(tmp_path / "predictions.csv")
    assert len(rows) == 76
    for row in rows:
        shares = [float(row[name]) for name in ("melanoma", "nevus", "seborrheic_keratosis")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["auc"]["seborrheic_keratosis"] is None, "the data has none of this class"


def test_evaluation_agrees_with_scikit_learn(trained_run, phantom_records, tmp_path):
    metrics = evaluate_classifier(trained_run, phantom_records, output=tmp_path)
    rows = read_rows(tmp_path / "predictions.csv")
    names = metrics["classes"]
    labels = [row["label"] for row in rows]
    for name in names:
        scores = [float(row[name]) for row in rows]
        expected = roc_auc_score([label == name for label in labels], scores)
        assert metrics["auc"][name] == pytest.approx(expected, abs=1e-12)
    likeliest = [max(names, key=lambda name, row=row: float(row[name])) for row in rows]
    assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, likeliest))
    assert sum(map(sum, metrics["confusion_matrix"])) == len(rows) == metrics["n"]
    with pytest.raises(MelanomaError, match="exists"):
        evaluate_classifier(trained_run, phantom_records, output=tmp_path)
