"""A run on a fold: trained without it, scored on it, and put together with the others."""

import csv
import json
import shutil

import pytest

from melanoma_tf.classification import evaluate as evaluation
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.settings import ClassifierSettings, FoldSettings, NetworkSettings
from melanoma_tf.classification.train import CLASSIFIER, train_classifier
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json
from melanoma_tf.records.read import read_examples
from melanoma_tf.training.run_record import read_run
from tests.conftest import ONE_CONVOLUTION

HELD_OUT = EvaluationSettings("validation", rounds=0)
TOGETHER = EvaluationSettings("validation", combine="folds", rounds=0)


@pytest.fixture(scope="module", autouse=True)
def _no_report():
    """Reports have tests of their own, and take longer to draw than these scores to compute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "write_report", lambda *_, **options: None)
        yield


def settings(fold):
    return ClassifierSettings(
        epochs=1,
        batch_size=8,
        network=NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32),
        cross_validation=FoldSettings(3, fold),
    )


@pytest.fixture(scope="module")
def runs(phantom_records, tmp_path_factory):
    """Runs on three folds: the first is trained, the others differ from it by their fold alone."""
    base = tmp_path_factory.mktemp("folds")
    train_classifier(phantom_records, base / "0", settings(0), log=lambda line: None)
    for fold in (1, 2):
        shutil.copytree(base / "0", base / str(fold))
        path = base / str(fold) / "config.json"
        config = read_checked_json(path)
        config["settings"]["cross_validation"]["fold"] = fold
        path.write_text(json.dumps(config))
    return [base / str(fold) for fold in range(3)]


def image_ids(folder):
    with (folder / "predictions.csv").open() as stream:
        return [row["image_id"] for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def together(runs, phantom_records, tmp_path_factory):
    output = tmp_path_factory.mktemp("together")
    metrics = evaluate_classifier(runs, phantom_records, TOGETHER, output=output, overwrite=True)
    return metrics, image_ids(output)


def test_held_out_parts_put_together_are_all_training_and_validation_images(
    together, phantom_records
):
    metrics, found = together
    expected = [
        one.key
        for split in ("train", "validation")
        for one in read_examples(phantom_records, split)
    ]
    assert sorted(found) == sorted(expected)
    assert metrics["combine"] == "folds"
    assert metrics["n"] == len(expected)


def test_a_run_is_calibrated_and_scored_on_the_fold_it_held_out(
    runs, together, phantom_records, tmp_path
):
    metrics = evaluate_classifier(runs[0], phantom_records, HELD_OUT, output=tmp_path)
    own = image_ids(tmp_path)
    assert own == together[1][: len(own)]
    assert len(own) < len(together[1]) / 2
    fitted_on = read_calibration(runs[0])["fitted_on"]
    assert fitted_on["n"] == len(own)
    carried = metrics["operating_points"]["carried_over_from"]
    assert carried["same_images"] is True
    assert fitted_on["images_sha256"] == metrics["images_sha256"]
    own_points, carried_over = (
        metrics["operating_points"][name] for name in ("chosen_on_this_set", "carried_over")
    )
    for name, row in own_points.items():
        for wanted, point in row.items():
            # Other batches change a score, and with it the threshold, in its last digits.
            there = dict(carried_over[name][wanted])
            assert there.pop("threshold") == pytest.approx(point.pop("threshold"), abs=1e-6)
            assert there == point


def test_leaking_and_incomplete_combinations_are_refused(
    runs, trained_run, phantom_records, tmp_path
):
    def refused(message, runs, settings, records=phantom_records):
        with pytest.raises(MelanomaError, match=message):
            evaluate_classifier(runs, records, settings, output=tmp_path / "out")

    refused("hold out different images: each was trained on what", runs[:2], HELD_OUT)
    refused("folds 0 to 2; found 0, 2", [runs[0], runs[2]], TOGETHER)
    refused("small was trained without", [*runs[:2], trained_run], TOGETHER)
    refused("expected --split validation; found test", runs, EvaluationSettings(combine="folds"))
    other = tmp_path / "other"
    shutil.copytree(phantom_records, other)
    manifest = read_checked_json(other / "manifest.json")
    manifest["shards"] = [one for one in manifest["shards"] if one["split"] != "validation"]
    (other / "manifest.json").write_text(json.dumps(manifest))
    refused("expected these records for split validation, or --split", runs[0], HELD_OUT, other)


def test_another_division_is_not_resumed(runs, phantom_records):
    with pytest.raises(MelanomaError, match=r"cross_validation.fold was 0, is 1 now"):
        train_classifier(phantom_records, runs[0], settings(1), resume=True, log=lambda _: None)
    assert read_run(runs[0], CLASSIFIER).details["fold_assignment"]
