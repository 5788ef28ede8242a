"""Options of `train classifier`: what they make of the settings, and what is refused."""

import dataclasses

import pytest
from click.testing import CliRunner

from melanoma_tf.classification import train as training
from melanoma_tf.classification.expansion_plan import EXPANSION_PLANS, grow
from melanoma_tf.classification.settings import (
    RECIPES,
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
)
from melanoma_tf.classification.train import CLASSIFIER, classifier_job
from melanoma_tf.cli import main
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.training.run_record import read_run

NETWORK = ("--backbone", "small", "--weights", "none", "--image-size", "32")


def train(records, run_dir, *options):
    arguments = ["train", "classifier", "--records", records, "--run-dir", run_dir, *NETWORK,
                 "--batch-size", "12", "--epochs", "1", *options]  # fmt: skip
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def settled(monkeypatch):
    """The settings that `train classifier OPTIONS` arrives at."""

    def settings_of(*options):
        taken = []
        monkeypatch.setattr(
            training, "train_classifier", lambda _, __, given, **___: taken.append(given)
        )
        arguments = ["train", "classifier", "--records", "a", "--run-dir", "b", *options]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return taken[0]

    return settings_of


def test_without_options_the_settings_are_those_of_python(settled):
    assert settled() == ClassifierSettings()


def test_the_papers_recipe_is_one_option(settled):
    paper = settled("--recipe", "bisla2019")
    assert paper == RECIPES["bisla2019"]
    assert (paper.epochs, paper.batch_size) == (90, 50)
    network, optimization = paper.network, paper.optimization
    assert (network.backbone, network.weights) == ("resnet50", "imagenet")
    assert (network.image_size_px, network.resize_px) == (224, 400)
    assert (optimization.optimizer, optimization.learning_rate) == ("sgd", 1e-3)
    assert (optimization.schedule, optimization.step_epochs) == ("step", 30)


def test_options_beside_a_recipe_count_wherever_they_stand(settled):
    for options in (
        ("--recipe", "bisla2019", "--batch-size", "8", "--augment", "none"),
        ("--augment", "none", "--batch-size", "8", "--recipe", "bisla2019"),
    ):
        mine = settled(*options)
        assert (mine.batch_size, mine.optimization.optimizer) == (8, "sgd")
        assert mine.augmentation == AugmentationSettings("none")
    assert settled().optimization.optimizer == "adam", "a recipe is not remembered"


def test_a_run_records_its_settings_and_is_read_back(phantom_records, tmp_path, tiny_backbone):
    options = ("--balance", "batch", "--origin", "real", "--augment", "strong", "--mixup", 0.2)
    done = train(phantom_records, tmp_path / "run", *options)
    assert done.exit_code == 0, done.output
    settings = read_run(tmp_path / "run", CLASSIFIER).settings
    assert settings.batches == BatchSettings(("real",), balance="batch")
    assert settings.augmentation == AugmentationSettings("strong", mixup=0.2)
    again = train(phantom_records, tmp_path / "run", *options, "--resume")
    assert again.exit_code == 0, again.output
    other = train(phantom_records, tmp_path / "run", *options, "--resume", "--cutmix", 1)
    assert "settings.augmentation.cutmix was None, is 1.0 now" in other.output


def test_an_epoch_of_an_expansion_is_as_long_as_the_plan(phantom_records):
    manifest = read_manifest(phantom_records)
    counts = {
        name: {"real": manifest.count(split="train", class_name=name)}
        for name in manifest.class_names
    }
    examples = sum(row.examples for row in grow(counts, EXPANSION_PLANS["isic2017"]))
    settings = ClassifierSettings(batch_size=12, batches=BatchSettings(expansion="isic2017"))
    job = classifier_job(RecordSet.read(phantom_records), settings, lambda line: None)
    assert job.steps_per_epoch == -(-examples // 12)


def test_the_size_of_the_input_follows_the_records(phantom_records):
    job = classifier_job(RecordSet.read(phantom_records), ClassifierSettings(), lambda line: None)
    assert job.record.settings.network.image_size_px == 48 * 7 // 8
    assert dataclasses.replace(job.record.settings, network=ClassifierSettings().network) == (
        ClassifierSettings()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mixup", "nan"], "expected mixup within [0, inf); found nan"),
        (["--generated-fraction", "0.2"], "with a generated fraction; found balance none"),
        (
            ["--balance", "batch", "--generated-fraction", "0.2"],
            "expected generated training images",
        ),
        (["--expansion", "isic2018"], "expected the classes actinic_keratosis"),
        (["--expansion", "isic2018"], "seborrheic_keratosis, which the expansion isic2017 is for"),
        (["--expansion", "isic2017", "--balance", "batch"], "an expansion or balanced batches"),
        (["--origin", "generated"], "expected training images of origin generated; found none"),
        (["--image-size", "31"], "expected an image size of at least 32 px; found 31"),
        (["--frozen-epochs", "2"], "weights to start from with 2 frozen"),
        (["--class-weights", "balanced", "--balance", "batch"], "class weights or balanced"),
        (["--warm-up-epochs", "2"], "schedule cosine with warm_up_epochs; found constant"),
        (["--weight-decay", "0.1"], "adamw or sgd with weight_decay; found adam"),
    ],
)
def test_what_does_not_go_together_is_one_line_and_leaves_nothing(
    phantom_records, tmp_path, options, message
):
    done = train(phantom_records, tmp_path / "run", *options)
    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--mixup", "-1"],
        ["--cutout", "2"],
        ["--balance", "batch", "--generated-fraction", "1"],
        ["--expansion", "isic1999"],
    ],
)
def test_values_out_of_bounds_are_refused_by_the_option(tmp_path, options):
    done = train(tmp_path, tmp_path / "run", *options)
    assert done.exit_code == 2
    assert f"Invalid value for '{options[-2]}'" in done.output
