"""The ISIC 2018 experiment: its plan for the data that is there, and one whole run on phantoms."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.workflows import isic2018, networks
from melanoma_tf.workflows.experiment import run_experiment
from melanoma_tf.workflows.isic2018_data import read_data
from melanoma_tf.workflows.settings import ISIC2018_SCALES, Isic2018Settings
from tests.conftest import ONE_CONVOLUTION

TINY = dataclasses.replace(
    ISIC2018_SCALES["demo"],
    phantoms=50,
    image_size_px=32,
    classifier_size_px=32,
    backbone=ONE_CONVOLUTION,
    weights="none",
    frozen_epochs=0,
    gan_epochs=1,
    gan_steps=1,
    gan_batch_size=4,
    baseline_epochs=1,
    proposed_epochs=1,
    generated_count=1,
    min_mse=0.0,
    rounds=20,
)


@pytest.fixture(scope="module")
def isic2018_folder(tmp_path_factory):
    """42 phantoms as ISIC 2018's training set."""
    folder = tmp_path_factory.mktemp("data") / "isic2018"
    return write_phantoms(folder, 42, settings=PhantomSettings(32), seed=3, taxonomy="isic2018")


def with_official_test(folder, copy):
    """A copy of the folder whose last 7 images are the official test images."""
    labels = "ISIC2018_Task3_{}_GroundTruth/ISIC2018_Task3_{}_GroundTruth.csv"
    header, *rows = (
        (folder / labels.format("Training", "Training")).read_text().splitlines(keepends=True)
    )
    for part, own in (("Training", rows[:35]), ("Test", rows[35:])):
        table = copy / labels.format(part, part)
        table.parent.mkdir(parents=True)
        table.write_text("".join([header, *own]))
        images = copy / f"ISIC2018_Task3_{part}_Input"
        images.mkdir()
        for row in own:
            name = f"{row.split(',')[0]}.jpg"
            (images / name).symlink_to(folder / "ISIC2018_Task3_Training_Input" / name)
    return copy


def test_the_paper_scale_is_the_published_experiment():
    paper = ISIC2018_SCALES["paper"]
    gan = networks.coupled_gan_settings(paper, ("melanoma", "nevus"))
    assert (gan.image_size_px, gan.latent_size, gan.learning_rate) == (256, 100, 2e-4)
    assert gan.class_names == ("melanoma", "nevus")
    classifier = networks.classifier_settings(paper, paper.proposed_epochs)
    assert (classifier.epochs, classifier.batch_size, classifier.network.backbone) == (
        90, 50, "resnet50",
    )  # fmt: skip
    assert paper.test_purify == "network"


def test_the_small_scale_is_about_an_hour_of_ten_thousand_images(tmp_path):
    planned = isic2018.plan_experiment(
        (), tmp_path, Isic2018Settings(phantoms=10_015), log=lambda line: None
    )
    seconds = sum(each.estimate.seconds for each in planned.steps if each.name != "phantoms")
    assert 20 * 60 < seconds < 60 * 60


def test_official_test_images_are_the_test_set(isic2018_folder, tmp_path):
    divided = read_data({"isic2018": isic2018_folder})
    assert (divided.split, divided.keep_split) == ("0.7/0.15/0.15", ())
    assert "no official test images" in divided.notes[0]
    official = read_data({"isic2018": with_official_test(isic2018_folder, tmp_path / "isic2018")})
    assert (official.split, official.keep_split) == ("0.9/0.1/0", ("test=isic2018",))
    assert official.images() == 42
    counts = [official.training_images(name) for name in isic2018.PHANTOM_FRACTIONS]
    assert sum(counts) <= 0.9 * 35


def test_training_images_in_two_folders_are_refused(isic2018_folder, tmp_path):
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization\n"]
    (tmp_path / "ham10000").mkdir()
    for path in (isic2018_folder / "ISIC2018_Task3_Training_Input").glob("*.jpg"):
        rows.append(f"HAM_{path.stem},{path.stem},nv,histo,40,male,back\n")
        (tmp_path / "ham10000" / path.name).symlink_to(path)
    (tmp_path / "ham10000" / "HAM10000_metadata.csv").write_text("".join(rows))
    with pytest.raises(MelanomaError, match="found isic2018 and ham10000: those of ISIC 2018 are"):
        read_data({"isic2018": isic2018_folder, "ham10000": tmp_path / "ham10000"})


def test_a_dry_run_names_what_is_left_out_and_writes_nothing(isic2018_folder, tmp_path):
    done = CliRunner().invoke(
        main,
        ["run", "isic2018", "--data", f"isic2018={isic2018_folder}", "--work",
         str(tmp_path / "work"), "--gan-batch-size", "5", "--dry-run"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "work").exists()
    few = re.findall(r"No image of (.+) is generated: there are about 4", done.output)
    assert "dermatofibroma" in few
    assert re.search(r"evaluate-proposed-network", done.output)
    nothing = CliRunner().invoke(main, ["run", "isic2018", "--work", str(tmp_path / "work")])
    assert nothing.exit_code == 1
    assert "expected --data ham10000=DIR or --data isic2018=DIR; found no data" in nothing.output


def test_other_shipped_networks_would_remake_what_they_made(tmp_path):
    planned = isic2018.plan_experiment((), tmp_path, TINY, log=lambda line: None)
    read = {step.name: {path.name for path in step.inputs} for step in planned.steps}
    networks_of_purification = {"occlusion_detector.npz", "inpainter.npz"}
    assert read["purify"] == read["evaluate-proposed-network"] == networks_of_purification
    assert read["evaluate-proposed-classical"] == read["baseline"] == set()
    assert read["export"] == {"segmenter.npz"}
    assert all(path.is_file() for step in planned.steps for path in step.inputs)


@pytest.mark.experiments
def test_the_whole_experiment_on_phantoms(tiny_backbone, tmp_path):
    lines = []
    planned = isic2018.plan_experiment((), tmp_path, TINY, log=lines.append)
    assert any("No image of dermatofibroma" in each for each in planned.notes), "3 of a batch of 4"

    def experiment():
        return run_experiment(planned, log=lines.append)

    entries = experiment()
    assert all(entry.finished for entry in entries.values())
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    raw = results["scores"]["proposed"]
    labels, decided = [], []
    with (tmp_path / "evaluation" / "proposed" / "predictions.csv").open() as stream:
        for row in csv.DictReader(stream):
            labels.append(row["label"])
            decided.append(max(raw["classes"], key=lambda name, row=row: float(row[name])))
    assert results["test_images"] == len(labels)
    right = [[d == label for d, label in zip(decided, labels) if label == name]
             for name in set(labels)]  # fmt: skip
    assert raw["balanced_accuracy"] == pytest.approx(np.mean([np.mean(each) for each in right]))
    assert results["scores"]["proposed-network"]["purify"] == "network"
    assert [each["name"] for each in results["steps"]][-1] == "export"
    html = (tmp_path / "report" / "report.html").read_text()
    for text in ("0.754", "0.837", f"{raw['balanced_accuracy']:.3f}", "9,786", "phantoms",
                 "Figure 10", "Figure 11", "Figure 12B", "data:image/png"):  # fmt: skip
        assert text in html
    assert (tmp_path / "saved_models" / "proposed" / "1" / "saved_model.pb").is_file()

    lines.clear()
    experiment()
    assert len(lines) == len(entries)
    assert all("done already" in line for line in lines)
