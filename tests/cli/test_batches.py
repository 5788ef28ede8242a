"""How batches are made, as options of `train classifier`; what is refused in one line."""

import json

import pytest
from click.testing import CliRunner

from melanoma_tf import training
from melanoma_tf.augmentation.settings import CLASSIFIER_PRESETS
from melanoma_tf.classification import train as recipe
from melanoma_tf.classification.data import ClassifierInputs
from melanoma_tf.classification.expansion_plan import RECIPES, grow
from melanoma_tf.classification.train import classifier_inputs
from melanoma_tf.cli import main
from melanoma_tf.records.manifest import read_manifest


def train(records, run_dir, *options):
    arguments = ["train", "classifier", "--records", records, "--run-dir", run_dir, "--backbone",
                 "small", "--weights", "none", "--image-size", "32", "--batch-size", "12",
                 "--epochs", "1", *options]  # fmt: skip
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_a_run_records_its_batches_and_is_read_back(phantom_records, tmp_path, tiny_backbone):
    options = ("--balance", "batch", "--origin", "real", "--augment", "strong", "--mixup", 0.2)
    done = train(phantom_records, tmp_path / "run", *options)
    assert done.exit_code == 0, done.output
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["batches"]["origins"] == ["real"]
    assert config["batches"]["augmentation"]["mixup"] == 0.2
    inputs = classifier_inputs(config, 12)
    assert isinstance(inputs, ClassifierInputs)
    assert inputs.batches.balance == "batch"
    assert inputs.batches.origins == ("real",)
    assert (
        inputs.batches.augmentation.rotation_degrees
        == CLASSIFIER_PRESETS["strong"].rotation_degrees
    )
    again = train(phantom_records, tmp_path / "run", *options, "--resume")
    assert again.exit_code == 0, again.output
    other = train(phantom_records, tmp_path / "run", *options, "--resume", "--cutmix", 1)
    assert "batches.augmentation.cutmix was 0.0, is 1.0 now" in other.output


def test_an_epoch_of_a_plan_is_as_long_as_the_plan(phantom_records, tmp_path, monkeypatch):
    manifest = read_manifest(phantom_records)
    counts = {
        name: {"real": manifest.count(split="train", class_name=name)}
        for name in manifest.class_names
    }
    examples = sum(row.examples for row in grow(counts, RECIPES["isic2017"]))
    fits = []
    monkeypatch.setattr(training, "fit", lambda *_, **options: fits.append(options["settings"]))
    monkeypatch.setattr(recipe, "calibrate_trained", lambda *_: None)
    done = train(phantom_records, tmp_path / "run", "--plan", "isic2017", "--no-augment")
    assert done.exit_code == 0, done.output
    assert fits[0].steps_per_epoch == -(-examples // 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mixup", "-1"], "expected mixup 0 or more; found -1.0"),
        (["--cutmix", "nan"], "expected cutmix 0 or more; found nan"),
        (["--cutout", "2"], "expected cutout within [0, 1]; found 2.0"),
        (["--generated-fraction", "0.2"], "with a generated share; found balance none"),
        (["--balance", "batch", "--generated-fraction", "1"], "share within [0, 1); found 1.0"),
        (
            ["--balance", "batch", "--generated-fraction", "0.2"],
            "expected generated training images",
        ),
        (["--plan", "isic2018"], "expected the classes actinic_keratosis"),
        (["--plan", "isic2018"], "seborrheic_keratosis, which the recipe isic2017 is for"),
        (["--plan", "isic1999"], "expected a recipe out of isic2017"),
        (["--plan", "isic2017", "--balance", "batch"], "expected a plan or balanced batches"),
        (["--origin", "generated"], "expected training images of origin generated; there are none"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(phantom_records, tmp_path, options, message):
    done = train(phantom_records, tmp_path / "run", *options)
    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
