"""Scores of masks against scikit-learn and by hand, and the command as a user runs it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, jaccard_score, recall_score

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.masks import (
    METRICS,
    pair_masks,
    score_mask,
    score_pairs,
    summarize,
)


def score_folders(found, truth):
    return score_pairs(pair_masks(found, truth))


def values(score):
    return {name: getattr(score, name) for name in METRICS}


@given(hnp.arrays(bool, (2, 6, 7)))
def test_metrics_are_scikit_learns(pair):
    predicted, truth = pair
    found = score_mask(predicted, truth)
    flat = truth.ravel(), predicted.ravel()
    if (predicted | truth).any():
        assert found.jaccard == pytest.approx(jaccard_score(*flat))
        assert found.dice == pytest.approx(f1_score(*flat))
    if truth.any():
        assert found.sensitivity == pytest.approx(recall_score(*flat))
    if not truth.all():
        assert found.specificity == pytest.approx(recall_score(*flat, pos_label=False))
    assert found.accuracy == pytest.approx(np.mean(predicted == truth))
    by_row = [
        jaccard_score(t, p) if (t | p).any() else 1.0 for t, p in zip(truth, predicted)
    ]  # fmt: skip
    assert found.jaccard_rowwise_2018 == pytest.approx(np.mean(by_row))


def test_empty_against_empty_is_one_and_against_a_lesion_zero():
    empty, lesion = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert set(values(score_mask(empty, empty)).values()) == {1.0}
    missed = score_mask(empty, lesion)
    assert (missed.jaccard, missed.dice, missed.sensitivity) == (0.0, 0.0, 0.0)
    assert missed.specificity == 1.0
    full = np.ones((4, 4), bool)
    assert score_mask(full, full).specificity == 1.0


@pytest.mark.parametrize(("shared", "counted"), [(13, 0.65), (12, 0.0)])
def test_below_065_an_image_counts_nothing(shared, counted):
    truth, predicted = np.zeros((2, 20), bool), np.zeros((2, 20), bool)
    truth[0] = True
    predicted[0, :shared] = True
    assert score_mask(predicted, truth).thresholded_jaccard == pytest.approx(counted)


def test_a_disc_found_a_little_too_large_reads_higher_by_rows_than_by_the_challenge():
    rows, columns = np.mgrid[:200, :200]
    distance = np.hypot(rows - 100, columns - 100)
    score = score_mask(distance < 63, distance < 50)
    assert score.jaccard == pytest.approx(50**2 / 63**2, abs=0.01)
    assert score.jaccard_rowwise_2018 > score.jaccard + 0.05


def write(folder, name, mask):
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), mask)


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(4):
        truth = np.zeros((20, 30), np.uint8)
        truth[5:15, 5 : 15 + index] = 255
        noisy = np.where(rng.random(truth.shape) < 0.1, 255 - truth, truth)
        write(tmp_path / "truth", f"ISIC_{index:07d}_segmentation.png", truth)
        write(tmp_path / "found", f"ISIC_{index:07d}_segmentation.png", noisy)
    return tmp_path / "found", tmp_path / "truth"


def test_grey_values_up_to_128_are_skin(folders):
    found, truth = folders
    grey = np.full((20, 30), 128, np.uint8)
    grey[5:15, 5:15] = 129
    write(found, "ISIC_0000000_segmentation.png", grey)
    assert next(score_folders(found, truth)).jaccard == 1.0


def test_missing_and_extra_masks_are_named(folders):
    found, truth = folders
    (found / "ISIC_0000002_segmentation.png").rename(found / "ISIC_0000009.png")
    with pytest.raises(MelanomaError, match=r"missing: ISIC_0000002$"):
        score_folders(found, truth)
    write(found, "ISIC_0000002_segmentation.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(MelanomaError, match=r"found: ISIC_0000009$"):
        score_folders(found, truth)


def test_masks_are_matched_by_image_and_read_by_meaning(folders):
    found, truth = folders
    expected = [score.jaccard for score in score_folders(found, truth)]
    for index, name in enumerate((".PNG", "_lesion.bmp", "_Segmentation.tif", "_mask.png")):
        old = found / f"ISIC_{index:07d}_segmentation.png"
        mask = cv2.imread(str(old), cv2.IMREAD_UNCHANGED)
        old.unlink()
        coded = (mask // 255, mask.astype(np.uint16), np.dstack([mask * 0, mask * 0, mask]), mask)
        write(found, f"ISIC_{index:07d}{name}", coded[index])
    write(found, "ISIC_0000000_superpixels.png", np.zeros((20, 30), np.uint8))
    pairs, notes = pair_masks(found, truth), {}
    assert [score.jaccard for score in score_pairs(pairs, notes)] == expected
    assert [each.reason for each in pairs.passed_over] == ["superpixel map"]
    assert {note: [Path(path).name for path in paths] for note, paths in notes.items()} == {
        "its values are 0 and 1, read as skin and lesion": ["ISIC_0000000.PNG"],
        "read from its colours": ["ISIC_0000002_Segmentation.tif"],
    }


def test_other_sizes_other_bytes_and_empty_folders_are_errors(folders, tmp_path):
    found, truth = folders
    write(found, "ISIC_0000001_segmentation.png", np.zeros((30, 20), np.uint8))
    with pytest.raises(MelanomaError, match="expected a mask of the truth's size 20x30; found 30x"):
        list(score_folders(found, truth))
    for content in (b"", b"no image"):
        (found / "ISIC_0000001_segmentation.png").write_bytes(content)
        with pytest.raises(MelanomaError, match="expected a mask; "):
            list(score_folders(found, truth))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MelanomaError, match="found none"):
        score_folders(tmp_path / "empty", truth)
    with pytest.raises(MelanomaError, match="expected a folder of masks"):
        score_folders(tmp_path / "absent", truth)


def test_means_and_intervals(folders):
    scores = list(score_folders(*folders))
    summary = summarize(scores, rounds=400, seed=3)
    values = [score.jaccard for score in scores]
    found = summary["jaccard"]
    assert found["mean"] == pytest.approx(np.mean(values))
    assert min(values) <= found["interval"]["low"] <= found["mean"]
    assert found["mean"] <= found["interval"]["high"] <= max(values)
    assert summary == summarize(scores, rounds=400, seed=3)
    assert summarize(scores[:1], rounds=5)["dice"]["interval"]["low"] == scores[0].dice
    with pytest.raises(MelanomaError, match="at least one mask"):
        summarize([])


def test_the_command_writes_the_documented_keys(folders, tmp_path, invoke_command):
    output = tmp_path / "scores.json"
    inverted = cv2.imread(str(folders[0] / "ISIC_0000003_segmentation.png"), 0) < 128
    write(folders[0], "ISIC_0000003_segmentation.png", inverted.astype(np.uint8) * 255)
    done = invoke_command("score", "segmenter", *folders, "--json", output, "--rounds", 100)
    assert "1 of the masks" in done.stderr
    assert "ISIC_0000003_segmentation.png: more lesion along the border" in done.stderr
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())
    for name in METRICS:
        assert set(written[name]) == {"mean", "interval"}
    assert written["n"] == len(written["images"]) == 4
    assert f"{written['jaccard']['mean']:.3f}" in done.stdout
    assert "not the challenge's" in done.stdout
    again = invoke_command("score", "segmenter", *folders, "--json", output)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr


def test_the_official_masks_score_one_against_themselves(real_data):
    truth = real_data / "isic2017-validation" / "ISIC-2017_Validation_Part1_GroundTruth"
    summary = summarize(list(score_folders(truth, truth)), rounds=0)
    assert summary["n"] == 49
    assert all(summary[name]["mean"] == 1.0 for name in METRICS)


def test_files_of_task_2_are_scored_by_attribute(tmp_path, invoke_command):
    """Half of the streaks are found, and no globules where there are some: by hand."""
    truth, found = np.zeros((4, 8), np.uint8), np.zeros((4, 8), np.uint8)
    truth[:2], found[:1] = 255, 255
    for folder, masks in (("truth", (truth, truth)), ("found", (found, found * 0))):
        for attribute, mask in zip(("streaks", "globules"), masks):
            write(tmp_path / folder, f"ISIC_0000000_attribute_{attribute}.png", mask)
    output = tmp_path / "scores.json"
    done = invoke_command(
        "score", "segmenter", tmp_path / "found", tmp_path / "truth", "--json", output
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())
    assert written["attributes"] == {
        "globules": {"jaccard": 0.0, "dice": 0.0},
        "streaks": {"jaccard": 0.5, "dice": pytest.approx(2 / 3)},
    }
    assert written["micro_average"] == {"jaccard": 0.25, "dice": pytest.approx(0.4)}
    assert "task 2" in done.stdout
    (tmp_path / "found" / "ISIC_0000000_attribute_streaks.png").unlink()
    done = invoke_command("score", "segmenter", tmp_path / "found", tmp_path / "truth")
    assert done.returncode == 1
    assert "missing: ISIC_0000000_attribute_streaks" in done.stderr
