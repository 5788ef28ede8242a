"""The page of the report: whole in itself, readable by a machine, honest about what is missing."""

import base64
import dataclasses
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from melanoma_tf.evaluation.operating_points import at_thresholds, choose_thresholds
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.report import figures as report_figures
from melanoma_tf.evaluation.report.content import (
    DataFolder,
    Mistake,
    MistakeGroup,
    ReportContent,
    Stage,
    TrainedRun,
)
from melanoma_tf.evaluation.report.render import render_report
from melanoma_tf.evaluation.score import align_with_truth, score_predictions
from melanoma_tf.records.manifest import Count, Manifest, Shard

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")
PLACE = Path("elsewhere")
NASTY = "<script>alert('&')</script>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes and text; an unclosed or wrongly closed tag fails."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def jpeg(value):
    return cv2.imencode(".jpg", np.full((16, 16, 3), value, np.uint8))[1].tobytes()


def manifest():
    counts = (
        Count("train", "melanoma", "isic2017", "real", 80),
        Count("train", "nevus", "isic2017", "real", 240),
        Count("test", "melanoma", "isic2017", "real", 10),
        Count("test", "nevus", "isic2017", "real", 20),
    )
    return Manifest(
        "isic2017", NAMES, counts,
        (Shard("train-0", "train", 320, 9, "ab12"), Shard("test-0", "test", 30, 9, "cd34")),
        {"image_size": 96}, {"isic2017": {"licence": "CC0-1.0", "attribution": NASTY}},
        findings={"missing": {"isic2017": {"count": 1544, "first": []}}}, tool_version="0.1.0",
    )  # fmt: skip


def points(predictions, thresholds):
    groups = np.arange(len(predictions.image_ids))
    return at_thresholds(
        predictions.labels, predictions.scores, NAMES, thresholds, groups, rounds=20
    )


@pytest.fixture(scope="module")
def content():
    generator = np.random.default_rng(0)
    labels = np.arange(30) % 3 // 2  # 20 of the first class, 10 of the second
    scores = generator.dirichlet(np.ones(3), 30)
    predictions = Predictions(tuple(f"image{index}" for index in range(30)), scores, NAMES, labels)
    config = {"kind": "classifier", "batch_size": 16, "augment": True, "weights": NASTY,
              "schedule": {"warm_up_epochs": 2}, "shards": {"train-0": "ab12"}}  # fmt: skip
    history = {"loss": [1.0, 0.5, 0.7], "val_loss": [1.1, 0.9, 1.2], "val_auc": [0.6, 0.8, 0.7],
               "auc": [0.6, 0.7, 0.9], "images_per_second": [12345.0, 1.0, 2.0]}  # fmt: skip
    real = {"melanoma": {"real": 80}, "nevus": {"real": 240}, "seborrheic_keratosis": {}}
    epoch = {"melanoma": {"real": 120, "generated": 40}, "nevus": {"real": 160},
             "seborrheic_keratosis": {}}  # fmt: skip
    scores = score_predictions(align_with_truth(predictions), rounds=20)
    scores["operating_points"] = {
        "chosen_on_this_set": points(
            predictions, choose_thresholds(labels, predictions.scores, NAMES)
        )
    }
    mistake = Mistake(NASTY, "nevus", "melanoma", (0.12, 0.87), jpeg(90), jpeg(200))
    return ReportContent(
        split="test",
        predictions=predictions,
        scores=scores,
        runs=(TrainedRun(f"first {NASTY}", config, history),),
        folders=(DataFolder("tfrecords/isic2017", PLACE, "training and evaluation", manifest()),),
        stages=(Stage("real images", "images", real), Stage("an epoch", "examples", epoch)),
        mistakes=(MistakeGroup("Taken for melanoma", 7, (mistake,)),),
        mistakes_note="As the network saw them.",
        digest="f00d",
        version="9.8.7",
    )


@pytest.fixture(scope="module")
def rendered(content):
    return render_report(content)


def test_nothing_is_fetched_and_every_picture_is_there_with_words(rendered):
    page = Page(rendered)
    images = page.all("img")
    # 2 of sizes, 2 of training, 2 ROC curves, confusion, 2 of calibration, a pair of an error
    assert len(images) == 2 + 2 + 2 + 1 + 2 + 2
    for attributes in images:
        assert len(attributes["alt"]) > 10
        kind, _, data = attributes["src"].partition(";base64,")
        assert kind in ("data:image/svg+xml", "data:image/jpeg")
        inside = base64.b64decode(data, validate=True)
        if kind.endswith("jpeg"):
            assert cv2.imdecode(np.frombuffer(inside, np.uint8), cv2.IMREAD_COLOR) is not None
        else:
            assert ElementTree.fromstring(inside).tag.endswith("svg")
            assert b"dc:date" not in inside
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    for attributes in page.all("a"):
        assert attributes["href"][1:] in identifiers
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        assert "//" not in attributes.get("src", "").split(";")[0] + attributes.get("href", "")
    assert any("default-src 'none'" in each.get("content", "") for each in page.all("meta"))


def test_tables_have_headers_for_those_who_hear_them(rendered):
    page = Page(rendered)
    assert page.all("html") == [{"lang": "en"}]
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) >= 8
    assert any(each.get("name") == "viewport" for each in page.all("meta"))


def test_what_comes_from_outside_stays_text(rendered):
    assert "<script" not in rendered
    # the run's name in title and heading, a setting, an attribution, and an image's name
    assert Page(rendered).text.count(NASTY) >= 5


def test_the_figures_are_those_of_the_scores(content, rendered):
    text = Page(rendered).text
    scores = content.scores
    for name in ("melanoma", "nevus"):
        interval = scores["interval"]["auc"][name]
        assert interval["method"] == "delong"
        told = f"{scores['auc'][name]:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
        assert told in text
    limits = scores["interval"]["brier_score"]
    assert f"Brier score {scores['brier_score']:.3f} {limits['low']:.3f} to" in text
    for expected in (
        "Research software. Not a medical device.",
        "melanoma_tf 9.8.7",
        "an epoch 160 160 0 12%",
        "real images 80 240 0 0%",
        "3 epochs; the weights of epoch 2 were kept",
        "schedule.warm_up_epochs 2",
        "augment yes",
        "Taken for melanoma: 7",
        "nevus (0.12) taken for melanoma (0.87)",
        "1,544 rows of isic2017 had no image file",
        "CC0-1.0",
        "SHA-256 f00d",
    ):
        assert expected in text
    assert "12345" not in rendered, "speed differs from run to run"


def test_what_is_missing_is_said(content, rendered):
    text = Page(rendered).text
    for expected in (
        "The test split has no example of seborrheic keratosis",
        "There was no training example of seborrheic keratosis",
        "The patients are unknown",
        "seborrheic keratosis: no curve",
        "No thresholds chosen on other images were applied",
        "No calibration was applied",
    ):
        assert expected in text
    poorer = dataclasses.replace(
        content,
        split="validation",
        runs=(TrainedRun("first", content.runs[0].config, {"loss": [1.0], "auc": [0.5]}),),
        stages=(),
        folders=(DataFolder("gone", PLACE, "training", None, "gone is missing"),),
        mistakes=(),
        mistakes_note="Pictures were left out.",
    )
    text = Page(render_report(poorer, [])).text
    for expected in (
        "The epoch was chosen on this validation split",
        "There was no validation split",
        "Records of training: gone is missing.",
        "The records that were trained on can no longer be read",
        "Pictures were left out.",
    ):
        assert expected in text


def test_calibration_and_thresholds_from_elsewhere_are_shown(content):
    predictions = content.predictions
    source = {
        "file": "calibration.json", "chosen_on": {"split": "validation", "n": 69},
        "same_images": False, "differences": ["tta 1, here 8"],
    }  # fmt: skip
    carried = points(predictions, {"nevus": {"0.95": 0.3}})
    told = {"negative_log_likelihood": 0.6, "expected_calibration_error": 0.2, "brier_score": 0.5}
    scores = {
        **content.scores,
        "operating_points": {
            **content.scores["operating_points"],
            "carried_over": carried,
            "carried_over_from": source,
        },
        "calibrated": True,
        "tta": 8,
        "runs": [{"run_dir": "runs/first", "temperature": 1.25}],
        "calibration": {"raw": told, "calibrated": {**told, "brier_score": 0.4}},
    }
    called = predictions.scores[:, 1] >= 0.3
    sensitivity = called[predictions.labels == 1].mean()
    specificity = 1 - called[predictions.labels != 1].mean()
    text = Page(render_report(dataclasses.replace(content, scores=scores), [])).text
    shown = text.split("Chosen on 69 images of split validation, applied here")[1]
    assert f"nevus 0.95 0.3 {sensitivity:.3f} [" in shown
    assert f"] {specificity:.3f} [" in shown
    assert "They were chosen under other conditions: tta 1, here 8." in text
    assert "a temperature of 1.25." in text
    assert "Probabilities assume" not in text
    assert "Brier score (0 best, 2 worst) 0.500 0.400" in text
    assert "tta 8" in text


def test_biases_and_the_prevalence_that_probabilities_assume_are_shown(content):
    scores = {
        **content.scores,
        "calibrated": True,
        "runs": [{"temperature": 1.25, "biases": dict(zip(NAMES, (0.5, -0.25, 0.125)))}],
        "prevalence": dict(zip(NAMES, (0.25, 0.625, 0.125))),
    }
    text = Page(render_report(dataclasses.replace(content, scores=scores), [])).text
    assert (
        "a temperature of 1.25, and a bias of each class was added: "
        "melanoma +0.500, nevus -0.250, seborrheic keratosis +0.125."
    ) in text
    assert (
        "assume these class frequencies: melanoma 0.25, nevus 0.625, seborrheic keratosis 0.125. "
        "The calibration"
    ) in text


def test_the_same_content_gives_the_same_bytes(content, rendered):
    assert render_report(content) == rendered


def test_a_dollar_in_a_name_is_no_formula():
    drawn = report_figures.training_curve("AUC of runs/$x_{$", [0.5, 0.6], None, 2)
    assert report_figures.as_pixels(drawn).min() < 128
    assert ElementTree.fromstring(report_figures.as_svg(drawn)).tag.endswith("svg")
