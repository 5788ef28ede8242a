"""The growth of a training set in the report: the paper's own numbers, and sums by hand."""

from pathlib import Path

import pytest

from melanoma_tf.classification.expansion_plan import PAPER_COUNTS
from melanoma_tf.classification.report_stages import growth_stages
from melanoma_tf.classification.settings import BatchSettings, ClassifierSettings
from melanoma_tf.evaluation.report.content import DataFolder
from melanoma_tf.records.manifest import Count, Manifest
from melanoma_tf.training.run_record import RunRecord

NAMES = ("melanoma", "nevus", "seborrheic_keratosis")


def folder(counts, name="records"):
    rows = tuple(
        Count("train", class_name, "isic2017", origin, count)
        for class_name, row in counts.items()
        for origin, count in row.items()
    )
    manifest = Manifest("isic2017", NAMES, rows, (), {}, {})
    return DataFolder(name, Path(name), "training", manifest)


def run(batch_size=32, **batches):
    settings = ClassifierSettings(batch_size=batch_size, batches=BatchSettings(**batches))
    return RunRecord("classifier", settings, (), "isic2017", NAMES, {})


def totals(stage):
    return [sum(stage.counts[name].values()) for name in NAMES]


def test_the_paper_s_plan_gives_the_paper_s_figure_7():
    real = {name: {"real": row["real"]} for name, row in PAPER_COUNTS["isic2017"].items()}
    rest = {
        name: {origin: count for origin, count in row.items() if origin != "real"}
        for name, row in PAPER_COUNTS["isic2017"].items()
    }
    stages = growth_stages(run(expansion="isic2017"), [folder(real), folder(rest, "more")])
    assert [stage.name for stage in stages] == [
        "real images", "+ purified", "+ generated", "+ mirror images",
        "an epoch by the expansion isic2017",
    ]  # fmt: skip
    assert totals(stages[0]) == [919, 2518, 545]
    assert totals(stages[2]) == [919 + 147 + 350, 2518 + 470, 545 + 182 + 750]
    assert totals(stages[3]) == [2685, 2988, 2772]
    assert totals(stages[4]) == [16110, 17928, 16632]
    generated = sum(row["generated"] for row in stages[4].counts.values())
    assert generated / sum(totals(stages[4])) == pytest.approx(0.26, abs=0.005)


@pytest.mark.parametrize(
    ("limit", "expected"), [(0.25, (40, 90, 30)), (None, (96, 48, 16))], ids=["limit", "no limit"]
)
def test_balanced_batches_hold_equally_many_of_each_class(limit, expected):
    counts = {"melanoma": {"real": 30, "purified": 10, "generated": 60},
              "nevus": {"real": 190, "purified": 10}, "seborrheic_keratosis": {}}  # fmt: skip
    balanced = run(balance="batch", generated_fraction=limit)
    stage = growth_stages(balanced, [folder(counts)])[-1]
    # 300 images make 10 batches of 32, shared by two classes.
    assert totals(stage) == [160, 160, 0]
    melanoma = stage.counts["melanoma"]
    assert (melanoma["generated"], melanoma["real"], melanoma["purified"]) == expected
    assert stage.counts["nevus"] == {"real": 152, "purified": 8, "generated": 0}


def test_origins_that_were_not_trained_on_do_not_count():
    counts = {"melanoma": {"real": 3, "purified": 2}, "nevus": {"real": 5}}
    stages = growth_stages(run(2, origins=("real",)), [folder(counts)])
    assert [stage.name for stage in stages] == ["real images"]
    expected = dict(zip(NAMES, ({"real": 3}, {"real": 5}, {"real": 0})))
    assert stages[0].counts == expected


def test_a_folder_that_cannot_be_read_leaves_nothing_to_say():
    gone = DataFolder("gone", Path("gone"), "training", None, "gone is missing")
    assert growth_stages(run(), [gone]) == ()
