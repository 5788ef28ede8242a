"""The growth of a training set in the report: the paper's own numbers, and sums by hand."""

from pathlib import Path

import pytest

from melanoma_tf.classification.expansion_plan import PAPER_COUNTS
from melanoma_tf.classification.report_stages import growth_stages
from melanoma_tf.evaluation.report.content import DataFolder
from melanoma_tf.records.manifest import Count, Manifest

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def folder(counts, name="records"):
    rows = tuple(
        Count("train", class_name, "isic2017", origin, count)
        for class_name, row in counts.items()
        for origin, count in row.items()
    )
    manifest = Manifest("isic2017", NAMES, rows, (), {}, {})
    return DataFolder(name, Path(name), "training", manifest)


def totals(stage):
    return [sum(stage.counts[name].values()) for name in NAMES]


def test_the_paper_s_plan_gives_the_paper_s_figure_7():
    real = {name: {"real": row["real"]} for name, row in PAPER_COUNTS["isic2017"].items()}
    rest = {
        name: {origin: count for origin, count in row.items() if origin != "real"}
        for name, row in PAPER_COUNTS["isic2017"].items()
    }
    config = {"class_names": NAMES, "batch_size": 50, "batches": {"plan": "isic2017"}}
    stages = growth_stages(config, [folder(real), folder(rest, "more")])
    assert [stage.name for stage in stages] == [
        "real images", "+ purified", "+ generated", "+ mirror images",
        "an epoch by the plan isic2017",
    ]  # fmt: skip
    assert totals(stages[0]) == [919, 2518, 545]
    assert totals(stages[2]) == [919 + 147 + 350, 2518 + 470, 545 + 182 + 750]
    assert totals(stages[3]) == [2685, 2988, 2772]
    assert totals(stages[4]) == [16110, 17928, 16632]
    generated = sum(row["generated"] for row in stages[4].counts.values())
    assert generated / sum(totals(stages[4])) == pytest.approx(0.26, abs=0.005)


@pytest.mark.parametrize("nested", [False, True])
def test_balanced_batches_hold_equally_many_of_each_class(nested):
    counts = {"melanoma": {"real": 30, "purified": 10, "generated": 60},
              "nevus": {"real": 190, "purified": 10}, "seborrheic_keratosis": {}}  # fmt: skip
    batches = {"balance": "batch", "generated_fraction": 0.25} if nested else {}
    config = {"class_names": NAMES, "batch_size": 32, "balance": "batch"}
    config.update({"batches": batches} if nested else {})
    stage = growth_stages(config, [folder(counts)])[-1]
    # 300 images make 10 batches of 32, shared by two classes.
    assert totals(stage) == [160, 160, 0]
    expected = (40, 90, 30) if nested else (96, 48, 16)
    melanoma = stage.counts["melanoma"]
    assert (melanoma["generated"], melanoma["real"], melanoma["purified"]) == expected
    assert stage.counts["nevus"] == {"real": 152, "purified": 8, "generated": 0}


def test_origins_that_were_not_trained_on_do_not_count():
    counts = {"melanoma": {"real": 3, "purified": 2}, "nevus": {"real": 5}}
    config = {"class_names": NAMES[:2], "batch_size": 2, "batches": {"origins": ["real"]}}
    stages = growth_stages(config, [folder(counts)])
    assert [stage.name for stage in stages] == ["real images"]
    assert stages[0].counts == {"melanoma": {"real": 3}, "nevus": {"real": 5}}


def test_a_folder_that_cannot_be_read_leaves_nothing_to_say():
    gone = DataFolder("gone", Path("gone"), "training", None, "gone is missing")
    assert growth_stages({"class_names": NAMES}, [gone]) == ()
