"""The report of a run as `evaluate` and `report` make it, and what TensorBoard gets."""

import csv
import dataclasses
import re
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util

from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.folds import divide_by_folds
from melanoma_tf.classification.settings import FoldSettings
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.cli import main
from melanoma_tf.core.files import read_checked_json, read_json, write_json
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training.run_record import RecordFolder, read_run


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, trained_run, phantom_records):
    run_dir = tmp_path_factory.mktemp("evaluated") / "first"
    shutil.copytree(trained_run, run_dir)
    evaluate_classifier(run_dir, phantom_records, EvaluationSettings(rounds=20))
    return run_dir


@pytest.fixture
def copied(tmp_path, evaluated):
    return shutil.copytree(evaluated, tmp_path / "first")


@pytest.fixture
def without_charts(monkeypatch):
    """Drawing takes most of a report's time, and other tests look at it."""
    monkeypatch.setattr("melanoma_tf.classification.report.charts", lambda content: iter(()))


def report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def plain(page):
    """The page's text without its tags and pictures."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.S).split())


def replace_in(path, **changes):
    write_json(path, {**read_checked_json(path), **changes})


def change_record(run_dir, **changes):
    record = dataclasses.replace(read_run(run_dir, CLASSIFIER), **changes)
    write_json(run_dir / "config.json", record.to_json())


def test_the_same_report_is_made_again_where_it_may(evaluated, copied):
    first = (evaluated / "report.html").read_bytes()
    refused = report("--run-dir", copied)
    assert refused.exit_code == 1
    assert "exists; expected a new path, or --overwrite" in refused.output
    assert report("--run-dir", copied, "--overwrite").exit_code == 0
    assert (copied / "report.html").read_bytes() == first

    log = copied / "logs" / "evaluation-test"
    assert len(list(log.glob("events*"))) == 1, "a second evaluation adds nothing to the first"
    assert len(EventAccumulator(str(log)).Reload().Tensors("accuracy")) == 1


def test_errors_are_shown_the_most_certain_first(evaluated):
    with (evaluated / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = ("melanoma", "nevus", "seborrheic_keratosis")
    missed = []
    for row in rows:
        decided = max(names, key=lambda name, row=row: float(row[name]))
        if row["label"] == "melanoma" != decided:
            missed.append((-float(row[decided]), row["image_id"], decided.replace("_", " ")))
    page = (evaluated / "report.html").read_text()
    text = plain(page)
    assert f"Melanoma taken for something else: {len(missed)}" in text
    shown = text.split("Melanoma taken for something else")[1].split("Taken for melanoma")[0]
    found = re.findall(r"(\S+): melanoma \([\d.]+\) taken for ([a-z ]+) \(", shown)
    assert found == [(image, decided) for _, image, decided in sorted(missed)[:6]]
    wrong = read_json(evaluated / "metrics.json")["confusion_matrix"]
    pictures = sum(min(6, count) for count in (
        sum(wrong[0][1:]), wrong[1][0] + wrong[2][0], wrong[1][2] + wrong[2][1]
    ))  # fmt: skip
    assert page.count("data:image/jpeg;base64,") == 2 * pictures > 0


def test_tensorboard_gets_scalars_figures_curves_and_settings(evaluated):
    metrics = read_json(evaluated / "metrics.json")
    events = EventAccumulator(
        str(evaluated / "logs" / "evaluation-test"), size_guidance={"tensors": 0, "images": 0}
    ).Reload()
    tags = events.Tags()["tensors"]

    def values(tag):
        return tensor_util.make_ndarray(events.Tensors(tag)[0].tensor_proto)

    assert values("auc/melanoma") == pytest.approx(metrics["auc"]["melanoma"])
    assert values("specificity_at_sensitivity/nevus/0.89") == pytest.approx(
        metrics["specificity_at_sensitivity"]["nevus"]["0.89"]
    )
    for tag in ("roc/melanoma", "confusion_matrix", "calibration/decided", "training/loss",
                "class_sizes/images"):  # fmt: skip
        picture = np.frombuffer(values(tag)[2], np.uint8)
        height, width, _ = cv2.imdecode(picture, cv2.IMREAD_COLOR).shape
        assert (str(width).encode(), str(height).encode()) == tuple(values(tag)[:2])

    predictions = read_predictions(evaluated / "predictions.csv")
    is_positive = predictions.labels == 0
    curve = values("precision_recall/melanoma/pr_curves")
    for threshold in (0, 60, 80):  # of 201
        called = predictions.scores[:, 0].astype(np.float32) >= threshold / 200
        assert curve[5, threshold] == pytest.approx(recall_score(is_positive, called))
        if called.any():
            assert curve[4, threshold] == pytest.approx(precision_score(is_positive, called))

    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    started = HParamsPluginData.FromString(content).session_start_info.hparams
    assert started["network.backbone"].string_value == "one-convolution"
    assert started["batch_size"].number_value == 8
    assert "records" not in started
    assert not [tag for tag in tags if "shards" in tag]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: (run / "predictions.csv").unlink(), "expected predictions.csv, found none"),
        (lambda run: (run / "metrics.json").unlink(), "expected metrics.json, found none"),
        (lambda run: write_json(run / "metrics.json", {"split": "test"}), "run evaluate again"),
        (
            lambda run: (run / "predictions.csv").write_text("image_id,naevus,label\na,1,naevus\n"),
            "expected the classes melanoma, nevus, seborrheic_keratosis; missing: melanoma",
        ),
        (
            lambda run: replace_in(run / "metrics.json", auc={"melanoma": 0.123}),
            "expected the scores of predictions.csv; the AUC of melanoma is 0.123 here",
        ),
        (lambda run: (run / "weights.npz").unlink(), "training has not finished"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(copied, change, message):
    change(copied)
    before = (copied / "report.html").read_bytes()
    done = report("--run-dir", copied, "--overwrite")
    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.splitlines()) == 1
    assert (copied / "report.html").read_bytes() == before


def test_moved_records_are_found_by_their_checksums(
    without_charts, copied, phantom_records, tmp_path
):
    gone = str(tmp_path / "gone")
    (trained_on,) = read_run(copied, CLASSIFIER).records
    change_record(copied, records=(RecordFolder(gone, trained_on.shards),))
    replace_in(copied / "metrics.json", records=[gone])
    assert report("--run-dir", copied, "--overwrite").exit_code == 0
    text = plain((copied / "report.html").read_text())
    assert "gone is missing" in text
    assert gone not in text  # Nobody else is told of this machine's folders.
    assert "The records that were trained on can no longer be read." in text
    assert "images are not in the records" in text

    done = report("--run-dir", copied, "--overwrite", "--records", gone)
    assert f"expected a record folder at {gone}; it does not exist" in done.output

    done = report("--run-dir", copied, "--overwrite", "--records", phantom_records)
    assert done.exit_code == 0, done.output
    text = plain((copied / "report.html").read_text())
    assert "is missing" not in text
    assert "no longer" not in text
    assert "taken for" in text

    shards = dict.fromkeys(trained_on.shards, "other")
    change_record(copied, records=(RecordFolder(str(phantom_records), shards),))
    assert report("--run-dir", copied, "--overwrite", "--examples", 0).exit_code == 0
    text = plain((copied / "report.html").read_text())
    assert "has changed since" in text
    assert "Pictures were left out." in text


def test_an_ensemble_names_its_members(without_charts, evaluated, tmp_path, phantom_records):
    second, output = tmp_path / "second", tmp_path / "both"
    shutil.copytree(evaluated, second)
    ranks = EvaluationSettings(combine="ranks", rounds=0)
    evaluate_classifier([evaluated, second], phantom_records, ranks, output=output)
    text = plain((output / "report.html").read_text())
    assert "Report on first + second" in text
    assert "saliency map of the network of first" in text
    assert "The scores are not probabilities" in text
    assert (output / "logs" / "evaluation-test").is_dir()
    done = report("--run-dir", evaluated, "--output", output, "--overwrite")
    assert "expected its 2 run(s); found 1 --run-dir" in done.output


def test_of_a_fold_the_images_that_it_held_out_are_shown(
    without_charts, copied, phantom_records, tmp_path
):
    folds = FoldSettings(folds=3, fold=1)
    divided = divide_by_folds(RecordSet.read(phantom_records), folds)
    record = read_run(copied, CLASSIFIER)
    change_record(
        copied,
        settings=dataclasses.replace(record.settings, cross_validation=folds),
        details={"fold_assignment": divided.fingerprint},
    )
    output = tmp_path / "held-out"
    settings = EvaluationSettings(split="validation", rounds=20)
    metrics = evaluate_classifier(copied, phantom_records, settings, output=output)
    page = (output / "report.html").read_text()
    assert "first holds out fold 1 of 3" in plain(page)
    assert "not in the records" not in plain(page)
    assert page.count("data:image/jpeg") > 0
    trained_on = [divided.count(split="train", class_name=name) for name in metrics["classes"]]
    assert "real images " + " ".join(map(str, trained_on)) in plain(page)
