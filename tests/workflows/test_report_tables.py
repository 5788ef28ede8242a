"""Tables of the experiment's report: the published numbers, and scores that are undefined."""

from melanoma_tf.classification.expansion_plan import PAPER_COUNTS, expansion_plan_named, grow
from melanoma_tf.evaluation.report.tables import Estimate
from melanoma_tf.workflows import published, report_tables


def rows_of(table):
    return {row[:1] if table.text_columns == 1 else row[:2]: row for row in table.rows}


SCORES = {
    "baseline": {
        "auc": {"melanoma": 0.5, "seborrheic_keratosis": None},
        "mean_auc_isic2017": None,
        "specificity_at_sensitivity": {"melanoma": {"0.82": 0.25, "0.89": 0.125, "0.95": None}},
        "interval": {"auc": {"melanoma": {"low": 0.4, "high": 0.6}}},
    }
}


def test_published_and_own_areas_stand_side_by_side():
    rows = rows_of(report_tables.table_3(SCORES))
    assert rows["baseline",][1:3] == ("0.805", "0.873")
    assert rows["baseline",][3:] == (Estimate("0.500", "0.400, 0.600"), Estimate("undefined"))
    assert rows["proposed",][1:] == ("0.880", "0.915", "", "")
    assert rows["winners of the challenge",][1:3] == ("0.874", "0.911")


def test_specificities_of_table_4():
    rows = rows_of(report_tables.table_4(SCORES))
    assert rows["proposed, paper",][1:] == ("0.697", "0.648", "0.492")
    own = rows["baseline, here",][1:]
    assert [each.value for each in own] == ["0.250", "0.125", "undefined"]


def test_growth_of_the_paper_is_what_it_says():
    """Section 3.3: 16110 melanoma, 17928 nevus and 16632 seborrheic keratosis cases."""
    grown = grow(PAPER_COUNTS["isic2017"], expansion_plan_named("isic2017"))
    expansion = {"classes": [vars(row) for row in grown], "generated_fraction": 0.26}
    rows = rows_of(report_tables.growth(expansion))
    for name, examples in (
        ("melanoma", "16,110"), ("nevus", "17,928"), ("seborrheic keratosis", "16,632"),
    ):  # fmt: skip
        assert rows[name, "paper"][-1] == examples
        assert rows[name, "here"][2:] == rows[name, "paper"][2:]


def test_undefined_differences_are_named():
    undefined = dict.fromkeys(("first", "second", "difference", "low", "high", "p_value"))
    metric = {"metric": "auc.seborrheic_keratosis", **undefined, "method": None}
    table = report_tables.comparison({"n": 9, "metrics": [metric]}, report_tables.COMPARED_2017)
    assert table.rows == [
        ("AUC of seborrheic keratosis", "undefined", "undefined", Estimate("undefined"), "")
    ]


def test_purified_counts_of_the_paper():
    """Section 3.2.2: 470 nevus, 147 melanoma and 182 seborrheic keratosis."""
    purified = {name: row["purified"] for name, row in PAPER_COUNTS["isic2017"].items()}
    assert dict(published.PURIFIED) == purified


def test_table_6_stands_beside_the_paper_s():
    numbers = {
        "accuracy": 0.5, "balanced_accuracy": 0.25, "macro_average": {"specificity": 0.75},
        "interval": {"balanced_accuracy": {"low": 0.2, "high": 0.3}},
    }  # fmt: skip
    names = ("proposed", "proposed-classical", "proposed-network")
    rows = rows_of(report_tables.table_6(dict.fromkeys(names, numbers)))
    assert rows["none, paper",][1:] == ("0.675", "0.561", "0.954")
    assert rows["network, paper",][1:] == ("0.717", "0.754", "0.837")
    assert rows["classical, here",][1:] == (
        Estimate("0.500"), Estimate("0.250", "0.200, 0.300"), Estimate("0.750"),
    )  # fmt: skip


def test_figure_11_adds_up_to_the_images_of_the_paper():
    """Section 6.2; 187 dermatofibromas are said to be less than 2 % of all."""
    assert sum(published.FIGURE_11.values()) == 15_510
    assert published.FIGURE_11["dermatofibroma"] / 15_510 < 0.02
    images = {name: {"train": 1, "test": 2} for name in published.FIGURE_11}
    table = report_tables.class_sizes(images, published.FIGURE_11)
    assert table.header == ("class", "paper, training", "train", "test")
    assert table.rows[5] == ("nevus", "9,786", "1", "2")
