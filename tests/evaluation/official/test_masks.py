"""Our scores of masks against the challenges' own scorer."""

import cv2
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.attributes import pair_attributes, score_attributes
from melanoma_tf.evaluation.masks import (
    pair_masks,
    read_mask_strictly,
    score_pairs,
    summarize,
)

METRICS = {
    "accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity",
    "jaccard": "jaccard", "threshold_jaccard": "thresholded_jaccard", "dice": "dice",
}  # fmt: skip
ATTRIBUTES = ("globules", "milia_like_cyst", "negative_network", "pigment_network", "streaks")


def score_folders(found, truth):
    return score_pairs(pair_masks(found, truth))


def ellipse(generator, height, width):
    mask = np.zeros((height, width), np.uint8)
    centre = (int(width * generator.uniform(0.3, 0.7)), int(height * generator.uniform(0.3, 0.7)))
    axes = (int(width * generator.uniform(0.1, 0.4)), int(height * generator.uniform(0.1, 0.4)))
    return cv2.ellipse(mask, centre, axes, generator.uniform(0, 180), 0, 360, 255, -1)


def predicted_for(truth, kind, generator):
    if kind == "empty":
        return np.zeros_like(truth)
    if kind == "full":
        return np.full_like(truth, 255)
    if kind == "the same":
        return truth
    if kind == "shifted":
        return np.roll(truth, int(generator.integers(1, truth.shape[1])), axis=1)
    if kind == "soft":
        return cv2.GaussianBlur(truth, (9, 9), 3)
    if kind == "noise":
        return (generator.random(truth.shape) < 0.5).astype(np.uint8) * 255
    return ellipse(generator, *truth.shape)


KINDS = ("empty", "full", "the same", "shifted", "soft", "noise", "another")


def pair_of_folders(folder, n_images, kinds, seed):
    generator = np.random.default_rng(seed)
    for name in ("truth", "found"):
        (folder / name).mkdir(parents=True)
    for index in range(n_images):
        kind = kinds[index % len(kinds)]
        height, width = generator.integers(20, 90, 2)
        empty = kind != "soft" and generator.random() < 0.2
        truth = np.zeros((height, width), np.uint8) if empty else ellipse(generator, height, width)
        key = f"ISIC_{index:07d}"
        ending = ("_segmentation", "", "_prediction")[seed % 3]
        cv2.imwrite(str(folder / "truth" / f"{key}_segmentation.png"), truth)
        cv2.imwrite(
            str(folder / "found" / f"{key}{ending}.png"), predicted_for(truth, kind, generator)
        )
    return {"truth": folder / "truth", "predictions": folder / "found"}


def test_every_score_is_the_official_one(tmp_path, official_scores):
    cases = [
        {"kind": "segmentation", **pair_of_folders(tmp_path / f"{kind}-{seed}", 1, [kind], seed)}
        for seed in range(4)
        for kind in KINDS
    ]
    cases += [
        {"kind": "segmentation", **pair_of_folders(tmp_path / f"many-{seed}", 12, KINDS, seed)}
        for seed in range(4)
    ]
    assert len(cases) >= 30
    for case, official in zip(cases, official_scores(cases)):
        assert "refused" not in official, (case, official)
        for read in (None, read_mask_strictly):
            pairs = pair_masks(case["predictions"], case["truth"])
            found = summarize(list(score_pairs(pairs, read=read)), rounds=0)
            for theirs, mine in METRICS.items():
                assert found[mine]["mean"] == pytest.approx(
                    official["macro_average"][theirs], rel=0, abs=1e-12
                ), (case, theirs)


def attribute_folders(folder, seed):
    generator = np.random.default_rng(seed)
    for name in ("truth", "found"):
        (folder / name).mkdir(parents=True)
    for index in range(4):
        height, width = generator.integers(20, 60, 2)
        for attribute in ATTRIBUTES:
            name = f"ISIC_{index:07d}_attribute_{attribute}.png"
            for place in ("truth", "found"):
                mask = ellipse(generator, height, width)
                mask = mask if generator.random() < 0.5 and seed else np.zeros_like(mask)
                cv2.imwrite(str(folder / place / name), mask)
    return {"truth": folder / "truth", "predictions": folder / "found"}


def test_attributes_are_scored_as_task_2(tmp_path, official_scores):
    cases = [
        {"kind": "task2", **attribute_folders(tmp_path / str(seed), seed)} for seed in range(4)
    ]
    for case, official in zip(cases, official_scores(cases)):
        found = score_attributes(pair_attributes(case["predictions"], case["truth"]))
        assert found["n"] == 4
        for name in ATTRIBUTES:
            assert found["attributes"][name] == pytest.approx(official[name], rel=0, abs=1e-12)
        assert found["micro_average"] == pytest.approx(official["micro_average"], rel=0, abs=1e-12)


def test_strict_refuses_modes_that_the_official_scorer_refuses(tmp_path, official_scores):
    truth = ellipse(np.random.default_rng(0), 40, 50)
    masks = {
        "colour": np.dstack([truth * 0, truth * 0, truth]),
        "alpha": np.dstack([truth, truth, truth, truth]),
        "sixteen": truth.astype(np.uint16) * 257,
        "large": np.zeros((41, 50), np.uint8),
    }
    cases = []
    for name, mask in masks.items():
        for place in ("truth", "found"):
            (tmp_path / name / place).mkdir(parents=True)
        file = "ISIC_0000000_segmentation.png"
        cv2.imwrite(str(tmp_path / name / "truth" / file), truth)
        cv2.imwrite(str(tmp_path / name / "found" / file), mask)
        cases.append(
            {
                "kind": "segmentation",
                "truth": tmp_path / name / "truth",
                "predictions": tmp_path / name / "found",
            }
        )
    for case, official in zip(cases, official_scores(cases)):
        assert "refused" in official, case
        pairs = pair_masks(case["predictions"], case["truth"])
        with pytest.raises(MelanomaError):
            list(score_pairs(pairs, read=read_mask_strictly))


def test_two_masks_of_one_number_are_refused(tmp_path):
    folders = pair_of_folders(tmp_path, 1, ["the same"], 1)
    first = folders["predictions"] / "ISIC_0000000.png"
    first.rename(first.with_name("0000000_a.png"))
    assert next(score_folders(folders["predictions"], folders["truth"])).jaccard == 1.0
    (first.with_name("0000000_b.png")).write_bytes(first.with_name("0000000_a.png").read_bytes())
    with pytest.raises(MelanomaError, match=r"one mask of ISIC_0000000; found 0000000_a\.png and"):
        score_folders(folders["predictions"], folders["truth"])
