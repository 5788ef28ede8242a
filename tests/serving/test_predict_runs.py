"""`predict --run-dir`: runs on folders of unlabelled images, and files for the challenges."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from melanoma_tf.classification.evaluate import evaluate_classifier
from melanoma_tf.classification.evaluation_settings import EvaluationSettings
from melanoma_tf.classification.predict_files import RunClassifier
from melanoma_tf.classification.predict_views import ViewLogits, by_lesion
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.evaluation.predictions import Predictions, read_predictions
from melanoma_tf.evaluation.submissions import FORMATS
from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.serving.runs import ServedRuns, as_submission
from melanoma_tf.serving.settings import PredictionSettings


@pytest.fixture(scope="module")
def second_run(tmp_path_factory, trained_run):
    """The same network with other weights, as another run."""
    copy = tmp_path_factory.mktemp("runs") / "second"
    shutil.copytree(trained_run, copy)
    (copy / "calibration.json").unlink()
    return copy


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, phantom_folder):
    """Unlabelled images, as PNG so that records and files hold the same pixels."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for path in sorted(phantom_folder.glob("*_Data/*.jpg"))[:5]:
        cv2.imwrite(str(folder / f"{path.stem}.png"), cv2.imread(str(path)))
    return folder


def probabilities(run_dirs, folder, **settings):
    runs = RunClassifier(run_dirs, PredictionSettings(**settings))
    paths = sorted(folder.iterdir())
    return np.stack(list(runs.probabilities(paths, 2)))


def test_files_are_classified_as_records_are(tmp_path, trained_run, photographs, tiny_backbone):
    table = "\n".join(f"{path.name},nevus" for path in sorted(photographs.iterdir()))
    data = tmp_path / "data"
    shutil.copytree(photographs, data)
    (data / "labels.csv").write_text(f"image,diagnosis\n{table}\n")
    settings = BuildSettings("isic2017", image_size=48, image_format="png", split="0/0/1")
    build_records([list_source("csv", data)], settings, tmp_path / "records")
    evaluate_classifier(
        trained_run,
        tmp_path / "records",
        EvaluationSettings(tta=4, rounds=0, format="isic2017"),
        output=tmp_path / "o",
    )
    expected = read_predictions(tmp_path / "o" / "predictions.csv")
    submitted = read_predictions(tmp_path / "o" / "submission.csv")
    assert submitted.class_names == ("melanoma", "seborrheic_keratosis")
    np.testing.assert_array_equal(submitted.scores, expected.scores[:, [0, 2]])
    found = probabilities([trained_run], photographs, tta=4)
    order = np.argsort(expected.image_ids)
    np.testing.assert_allclose(found, expected.scores[order], atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(
    trained_run, second_run, photographs, tiny_backbone
):
    each = [probabilities([run], photographs, tta=2) for run in (trained_run, second_run)]
    both = probabilities([trained_run, second_run], photographs, tta=2, calibrated=False)
    raw = probabilities([trained_run], photographs, tta=2, calibrated=False)
    np.testing.assert_allclose(both, (raw + each[1]) / 2, atol=1e-6)


def test_a_broken_file_is_named_and_a_submission_is_whole(
    trained_run, photographs, tmp_path, tiny_backbone
):
    folder = tmp_path / "images"
    shutil.copytree(photographs, folder)
    (folder / "ISIC_9999999.jpg").write_bytes(b"no image")
    runs = ServedRuns([trained_run], PredictionSettings())
    results = list(runs.predict(sorted(folder.iterdir()), batch_size=4))
    assert [result.path.name for result in results if result.error] == ["ISIC_9999999.jpg"]
    with pytest.raises(MelanomaError, match="every image in a file of isic2017; 1 were not"):
        as_submission(results, "isic2017")


def test_the_images_of_a_lesion_of_milk10k_make_one_row(
    trained_run, photographs, tmp_path, tiny_backbone
):
    folder = tmp_path / "IL_0000001"
    shutil.copytree(photographs, folder)
    runs = ServedRuns([trained_run], PredictionSettings())
    results = list(runs.predict(sorted(folder.iterdir())))
    found = as_submission(results, "milk10k")
    assert found.image_ids == ("IL_0000001",)
    expected = np.mean([result.probabilities for result in results], axis=0)
    np.testing.assert_allclose(found.scores[0], expected, atol=1e-12)
    assert FORMATS["milk10k"].key == "lesion_id"


def test_evaluated_images_of_a_lesion_make_one_row_too():
    none = ("",) * 3
    seen = ViewLogits(
        ("a", "b", "c"), ("milk10k",) * 3, none, ("IL_1", "IL_1", ""), np.zeros(3), np.zeros(3)
    )
    scores = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    for ids in (("a", "b", "c"), ("milk10k/a", "milk10k/b", "milk10k/c")):
        found = by_lesion(Predictions(ids, scores, ("melanoma", "nevus")), [seen])
        assert found.image_ids == ("IL_1", "c")
        assert found.scores.tolist() == [[0.25, 0.75], [1.0, 0.0]]


def test_the_command_writes_a_file_of_2017(
    trained_run, second_run, photographs, tmp_path, in_process
):
    output = tmp_path / "submission.csv"
    command = ("predict", "--run-dir", trained_run, "--run-dir", second_run, "--tta", 2,
               photographs, "--format", "isic2017", "--output", output)  # fmt: skip
    done = in_process(*command)
    assert done.exit_code == 0, done.output
    with output.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["image_id", "melanoma", "seborrheic_keratosis"]
    assert [row[0] for row in rows[1:]] == sorted(path.stem for path in photographs.iterdir())
    assert all(0 <= float(cell) <= 1 for row in rows[1:] for cell in row[1:])
    assert in_process(*command).exit_code == 1  # it is there
    other = in_process(*command[:-3], "isic2018", "--output", tmp_path / "other.csv")
    assert other.exit_code == 1
    assert "expected the classes of isic2018" in other.output
    assert not (tmp_path / "other.csv").exists()


def test_json_has_the_probabilities_and_the_errors(
    trained_run, photographs, tmp_path, tiny_backbone, invoke_command
):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    images = sorted(photographs.iterdir())[:1]
    done = invoke_command(
        "predict", "--run-dir", trained_run, *images, tmp_path / "broken.jpg", "--json", "-"
    )
    assert done.returncode == 1
    good, broken = json.loads(done.stdout)
    assert good["image"] == str(images[0])
    assert sum(good["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert good["probabilities"][good["highest"]] == max(good["probabilities"].values())
    assert f"{max(good['probabilities'].values()):.3f}" in done.stderr
    assert set(broken) == {"image", "error"}


def test_what_does_not_fit_together_is_refused(trained_run, photographs, in_process):
    for arguments, message in (
        (("--run-dir", trained_run, "--model", "m"), "found --model and --run-dir"),
        (("--run-dir", trained_run, "--format", "isic2017"), "--output with --format"),
        (("--model", "m", "--tta", 2), "expected --tta with --run-dir"),
    ):
        done = in_process("predict", photographs, *arguments)
        assert done.exit_code == 1
        assert message in done.output


@pytest.fixture
def in_process(tiny_backbone):
    """Run a command in this process, where the tiny network is known."""
    from click.testing import CliRunner

    from melanoma_tf.cli import main

    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])
