"""The ISIC 2017 experiment: its plan for the data that is there, and one whole run on phantoms."""

import csv
import dataclasses
import json
import re

import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.phantoms import PhantomSettings, write_phantoms
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.workflows import isic2017, networks
from melanoma_tf.workflows.demo import demo_settings, run_demo
from melanoma_tf.workflows.experiment_data import find_folders
from melanoma_tf.workflows.isic2017_data import MAIN, SOURCES, read_data
from melanoma_tf.workflows.settings import ISIC2017_SCALES, DemoSettings, Isic2017Settings
from melanoma_tf.workflows.tasks import Tasks
from tests.conftest import ONE_CONVOLUTION

TINY = dataclasses.replace(
    ISIC2017_SCALES["demo"],
    phantoms=60,
    image_size_px=48,
    classifier_size_px=32,
    backbone=ONE_CONVOLUTION,
    weights="none",
    segmenter_epochs=1,
    gan_epochs=1,
    baseline_epochs=1,
    balance="batch",
    proposed_epochs=1,
    melanoma_count=2,
    keratosis_count=0,
    min_mse=0.0,
    rounds=20,
)


def run_command(*arguments):
    return CliRunner().invoke(main, ["run", "isic2017", *map(str, arguments)])


@pytest.fixture(scope="module")
def isic2017_folder(tmp_path_factory):
    """36 phantoms as ISIC 2017's training set, and 9 as its validation set."""
    folder = tmp_path_factory.mktemp("data") / "isic2017"
    write_phantoms(folder, 45, settings=PhantomSettings(32), seed=2)
    labels = folder / "ISIC-2017_Training_Part3_GroundTruth.csv"
    header, *rows = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join([header, *rows[:36]]))
    (folder / "ISIC-2017_Validation_Part3_GroundTruth.csv").write_text(
        "".join([header, *rows[36:]])
    )
    (folder / "ISIC-2017_Validation_Data").mkdir()
    for row in rows[36:]:
        name = f"{row.split(',')[0]}.jpg"
        (folder / "ISIC-2017_Training_Data" / name).rename(
            folder / "ISIC-2017_Validation_Data" / name
        )
    return folder


def plan(data, tmp_path, **changes):
    settings = dataclasses.replace(Isic2017Settings(gan_batch_size=8), **changes)
    return isic2017.plan_experiment(data, tmp_path / "work", settings, log=lambda line: None)


def test_the_scales_are_of_the_paper_and_of_a_cpu():
    paper = ISIC2017_SCALES["paper"]
    assert (paper.melanoma_count, paper.keratosis_count) == (350, 750)
    classifier = networks.classifier_settings(paper, paper.proposed_epochs)
    assert (classifier.epochs, classifier.batch_size) == (90, 50)
    assert classifier.network.backbone == "resnet50"
    assert classifier.network.resize_px == 400
    assert networks.segmenter_settings(paper) == SegmenterSettings()
    gan = networks.gan_settings(paper, "melanoma")
    assert (gan.image_size_px, gan.latent_size, gan.average_momentum) == (256, 10, 0.0)
    assert ISIC2017_SCALES["small"].backbone == "efficientnet-lite0"
    assert 96 <= ISIC2017_SCALES["small"].classifier_size_px <= 128


def test_folders_are_named_or_found(tmp_path):
    for name in ("isic2017", "dermofit"):
        (tmp_path / name).mkdir()
    assert find_folders([str(tmp_path)], SOURCES, [MAIN]) == {
        "isic2017": tmp_path / "isic2017",
        "dermofit": tmp_path / "dermofit",
    }
    assert list(find_folders(["ph2=p", "isic2017=x"], SOURCES, [MAIN])) == ["isic2017", "ph2"]
    for given, message in (
        (["ph2=p"], "expected --data isic2017=DIR; found ph2"),
        ([], "found no data"),
        (["isic2018=x"], "NAME out of isic2017, ph2, dermofit; found 'isic2018=x'"),
        ([str(tmp_path), "isic2017=x"], "found isic2017 twice"),
        ([str(tmp_path / "dermofit")], "folders named isic2017, ph2, dermofit"),
    ):
        with pytest.raises(MelanomaError, match=re.escape(message)):
            find_folders(given, SOURCES, [MAIN])


def test_without_test_labels_the_validation_images_are_the_test_set(isic2017_folder):
    data = read_data({"isic2017": isic2017_folder})
    splits = [lesion.split for lesion in data.listings[0].lesions]
    assert (splits.count("train"), splits.count("test")) == (36, 9)
    assert (data.split, data.keep_split) == ("0.9/0.1/0", ("test=isic2017",))
    assert "the official validation images are the test set" in data.notes[0]
    missing = "\n".join(data.notes)
    assert "ph2 is missing" in missing
    assert "dermofit is missing; the paper trained on its images too: 76 melanoma" in missing


def test_a_class_with_few_images_gets_no_gan_and_is_named(isic2017_folder, tmp_path):
    both = plan([f"isic2017={isic2017_folder}"], tmp_path)
    assert {"gan-melanoma", "generate-seborrheic_keratosis"} <= {s.name for s in both.steps}
    none = plan([f"isic2017={isic2017_folder}"], tmp_path, gan_batch_size=32, melanoma_count=0)
    assert not [step.name for step in none.steps if step.name.startswith(("gan", "generate"))]
    assert "the settings ask for none" in none.notes[-2]
    with (isic2017_folder / "ISIC-2017_Training_Part3_GroundTruth.csv").open() as stream:
        count = sum(float(row["seborrheic_keratosis"]) for row in csv.DictReader(stream))
    about = f"about {int(0.9 * count)} training images, fewer than the 32 of a batch"
    assert about in none.notes[-1]


def test_the_number_of_workers_and_the_place_change_no_fingerprint(isic2017_folder, tmp_path):
    def described(workers, name):
        settings = Isic2017Settings(gan_batch_size=8)
        found = isic2017.plan_experiment(
            [f"isic2017={isic2017_folder}"], tmp_path / name, settings, workers=workers
        )
        return [(step.name, step.needs, json.dumps(step.settings)) for step in found.steps]

    assert described(1, "work") == described(7, "elsewhere")


def test_a_dry_run_prints_the_plan_and_writes_nothing(isic2017_folder, tmp_path):
    done = run_command(
        "--data", f"isic2017={isic2017_folder}", "--work", tmp_path / "work", "--dry-run"
    )
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "work").exists()
    assert "dermofit is missing" in done.output
    assert re.search(r"records +│ +records/raw +│ +to do", done.output)
    assert re.search(r"assumed: two free CPU cores.*Nothing was written", done.output)


def test_a_dry_run_gives_scripts_the_steps(isic2017_folder, tmp_path, invoke_command):
    done = invoke_command(
        "run", "isic2017", "--data", f"isic2017={isic2017_folder}", "--work", tmp_path / "work",
        "--dry-run", "--json", "-",
    )  # fmt: skip
    steps = {each["step"]: each for each in json.loads(done.stdout)}
    assert steps["records"]["state"] == "to do"
    assert steps["purify"]["output"] == "records/purified"
    assert all(each["estimate"]["seconds"] > 0 for each in steps.values())


def test_unusable_data_is_one_line(isic2017_folder, tmp_path):
    inside = run_command("--data", f"isic2017={isic2017_folder}", "--work", isic2017_folder / "w")
    assert inside.exit_code == 1
    assert "lies in the input" in inside.output
    both = run_command("--scale", "demo", "--data", "isic2017=x", "--work", tmp_path / "work")
    assert both.exit_code == 1
    assert "--phantoms 0" in both.output


def test_records_that_appeared_just_before_a_kill_are_kept(tmp_path):
    records = tmp_path / "records" / "raw"
    records.mkdir(parents=True)
    (records / "manifest.json").write_text("{}")
    work = Tasks(tmp_path, "isic2017", TINY, None, 1, log=lambda line: None)
    work.build_records(records, True)
    assert (records / "manifest.json").read_text() == "{}"


def test_the_demo_is_the_experiment_at_the_demo_s_scale():
    assert demo_settings(DemoSettings()) == ISIC2017_SCALES["demo"]
    small = demo_settings(DemoSettings(images=60, epochs=1))
    assert (small.phantoms, small.baseline_epochs, small.segmenter_epochs) == (60, 1, 1)
    assert small.min_mse == 0


def test_a_proposed_classifier_is_balanced_by_expansion_or_by_batches(isic2017_folder, tmp_path):
    def proposed(**changes):
        planned = plan([f"isic2017={isic2017_folder}"], tmp_path, **changes)
        step = next(step for step in planned.steps if step.name == "proposed")
        return step.settings["batches"], " ".join(planned.notes)

    batches, notes = proposed()
    assert (batches["expansion"], batches["balance"]) == ("isic2017", "none")
    assert "in place of the expansion plan" not in notes
    batches, notes = proposed(balance="batch")
    assert (batches["expansion"], batches["balance"]) == ("none", "batch")
    assert "in place of the expansion plan" in notes


@pytest.mark.experiments
def test_the_demo_runs_the_whole_experiment(tiny_backbone, tmp_path, monkeypatch):
    network = SegmenterSettings(
        image_size_px=64, padding="same", base_filters=2, epochs=1, augment="mild"
    )
    monkeypatch.setattr(networks, "segmenter_settings", lambda settings: network)
    monkeypatch.setitem(ISIC2017_SCALES, "demo", TINY)
    lines = []
    settings = DemoSettings(images=60, image_size_px=48, epochs=1, workers=1)

    def demo(**options):
        return run_demo(tmp_path, settings, log=lines.append, **options)

    done = demo()
    assert all(entry.finished for entry in done.steps.values())
    assert len(done.served) == 5
    results = done.results
    with (tmp_path / "evaluation" / "proposed" / "predictions.csv").open() as stream:
        assert results["test_images"] == len(list(csv.DictReader(stream)))
    grown = {row["class_name"]: row for row in results["expansion"]["classes"]}
    assert grown["melanoma"]["generated"] == 2
    assert results["generated"]["melanoma"]["accepted"] == 2
    assert 0 <= results["segmentation"]["jaccard"]["mean"] <= 1
    assert [each["name"] for each in results["steps"]][-1] == "export"
    html = (tmp_path / "report" / "report.html").read_text()
    ours = results["scores"]["proposed"]["auc"]["melanoma"]
    for text in ("0.880", "0.697", f"{ours:.3f}", "phantoms", "data:image/png", "No image of",
                 "Figure 2", "Figure 4B", "Figure 8"):  # fmt: skip
        assert text in html
    assert (tmp_path / "saved_models" / "proposed" / "1" / "saved_model.pb").is_file()

    lines.clear()
    demo()
    assert len(lines) == len(done.steps)
    assert all("done already" in line for line in lines)
