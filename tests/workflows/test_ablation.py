"""The ablation: which trainings it consists of, and the effects that it reports."""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.workflows.ablation import (
    AblationRecords,
    plan_ablation,
    run_ablation,
    variant_settings,
    variants_of,
)
from melanoma_tf.workflows.ablation_effects import effects
from melanoma_tf.workflows.settings import AblationSettings
from tests.conftest import ONE_CONVOLUTION

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
TINY = ClassifierSettings(
    epochs=1, batch_size=8, network=NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32)
)


def test_a_full_design_has_every_combination_and_a_single_one_each_factor_alone():
    full = variants_of(AblationSettings())
    assert len(full) == len(set(full)) == 16
    assert full[0] == ()
    single = variants_of(AblationSettings("purify,balance,augment", design="single"))
    assert single == [
        (), ("purify",), ("balance",), ("augment",), ("purify", "balance", "augment"),
    ]  # fmt: skip


@pytest.mark.parametrize("factors", ["", "purify,hair", "purify,purify"])
def test_unknown_and_repeated_factors_are_refused(factors):
    with pytest.raises(MelanomaError, match="different factors out of purify, generate"):
        AblationSettings(factors)


def test_a_variant_switches_what_is_a_factor_and_nothing_else():
    training = dataclasses.replace(
        TINY,
        batches=BatchSettings(balance="batch", generated_fraction=0.3),
        augmentation=AugmentationSettings("strong"),
    )
    settings = AblationSettings()
    off = variant_settings(training, settings, (), 5)
    assert (off.batches.balance, off.batches.generated_fraction) == ("none", None)
    assert (off.augmentation.augment, off.seed) == ("none", 5)
    on = variant_settings(training, settings, ("generate", "balance", "augment"), 6)
    assert on == dataclasses.replace(training, seed=6)
    kept = variant_settings(training, AblationSettings("purify"), (), 0)
    assert kept == training
    balanced = variant_settings(TINY, AblationSettings("balance"), ("balance",), 0)
    assert balanced.batches.balance == "batch"


def test_records_and_factors_belong_together(phantom_records, tmp_path):
    for factors, records, message in (
        ("purify", AblationRecords(phantom_records), "--purified with the factor purify only"),
        (
            "balance",
            AblationRecords(phantom_records, generated=(tmp_path,)),
            "found them without the factor generate",
        ),
    ):
        with pytest.raises(MelanomaError, match=message):
            plan_ablation(records, tmp_path / "work", AblationSettings(factors), TINY)


def test_effects_are_mean_paired_differences():
    """Against scikit-learn, over two factors and two seeds."""
    random = np.random.default_rng(4)
    labels = random.integers(0, 3, 60)
    names = tuple(f"image{index}" for index in range(60))
    variants = [(), ("purify",), ("balance",), ("purify", "balance")]
    runs, areas, right = {}, {}, {}
    for variant, seed in itertools.product(variants, (0, 1)):
        scores = random.dirichlet([1, 1, 1], 60) + 0.2 * len(variant) * np.eye(3)[labels]
        scores /= scores.sum(axis=1, keepdims=True)
        runs[variant, seed] = Predictions(names, scores, CLASSES, labels)
        areas[variant, seed] = roc_auc_score(labels == 0, scores[:, 0])
        right[variant, seed] = accuracy_score(labels, scores.argmax(axis=1))
    metrics = [("auc", "melanoma"), ("accuracy",)]
    found = effects(runs, ("purify", "balance"), metrics, rounds=200, seed=0)
    both, none = ("purify", "balance"), ()
    for measured, place in ((areas, 0), (right, 1)):
        purify = np.mean([
            measured[on, seed] - measured[off, seed]
            for off, on in ((none, ("purify",)), (("balance",), both)) for seed in (0, 1)
        ])  # fmt: skip
        assert found["purify"][place].value == pytest.approx(purify)
        everything = np.mean([measured[both, seed] - measured[none, seed] for seed in (0, 1)])
        assert found["all"][place].value == pytest.approx(everything)
        assert found["all"][place].low < everything < found["all"][place].high
    same = {(variant, seed): runs[(), seed] for variant, seed in runs}
    nothing = effects(same, ("purify", "balance"), metrics, rounds=50, seed=0)["purify"][0]
    assert (nothing.value, nothing.low, nothing.high, nothing.p_value) == (0, 0, 0, 1)


def test_effects_of_other_images_are_refused():
    scores = np.full((2, 3), 1 / 3)
    one, other = (
        Predictions(names, scores, CLASSES, np.array([0, 1])) for names in (("a", "b"), ("a", "c"))
    )
    with pytest.raises(MelanomaError, match="those of seed 0 of balance are of others"):
        effects(
            {((), 0): one, (("balance",), 0): other},
            ("balance",), [("accuracy",)], rounds=2, seed=0,
        )  # fmt: skip


def test_a_dry_run_counts_the_trainings_and_writes_nothing(
    phantom_records, tmp_path, invoke_command
):
    done = invoke_command(
        "ablate", "--records", phantom_records, "--factors", "balance,augment", "--seeds", "2",
        "--backbone", "small", "--weights", "none", "--work", tmp_path / "work", "--dry-run",
        "--json", "-",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 trainings in all" in done.stderr
    steps = {each["step"]: each["state"] for each in json.loads(done.stdout)}
    assert steps["train-balance+augment-1"] == "to do"
    assert "train-balance+augment-1" in done.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.experiments
def test_an_ablation_on_phantoms(phantom_records, tmp_path):
    lines = []
    settings = AblationSettings("balance", seeds=2, rounds=20)
    planned = plan_ablation(
        AblationRecords(Path(phantom_records)), tmp_path, settings, TINY, log=lambda line: None
    )
    run_ablation(planned, log=lines.append)
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    scores = results["variants"]
    for path in ("accuracy", "mean_auc"):
        changes = [scores[f"balance-{seed}"][path] - scores[f"none-{seed}"][path]
                   for seed in (0, 1)]  # fmt: skip
        row = next(each for each in results["effects"]["balance"] if each["metric"] == path)
        assert row["value"] == pytest.approx(np.mean(changes))
    assert "Differences, with minus without" in (tmp_path / "report" / "report.html").read_text()
    lines.clear()
    run_ablation(planned, log=lines.append)
    assert all("done already" in line for line in lines)
