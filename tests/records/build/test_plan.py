from dataclasses import replace
from pathlib import Path

import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import PassedOver
from melanoma_tf.datasets.lesion import Lesion, Listing, taxonomy_named
from melanoma_tf.records.build.plan import SplitPolicy, label_rows, make_plan

TAXONOMY = taxonomy_named("isic2017")


def listing(name, rows, missing=()):
    """Rows are (key, split) or (key, split, more fields)."""
    lesions = []
    for key, split, *rest in rows:
        fields = {"diagnosis": "nevus", "source": name, "split": split, **(rest or [{}])[0]}
        lesions.append(Lesion(key=key, image_path=Path(f"{key}.jpg"), mask_path=None, **fields))
    return Listing(name, tuple(lesions), tuple(missing), "CC0-1.0", name)


def plan(*listings, links=(), **policy):
    policy = SplitPolicy(**policy)
    return make_plan(label_rows(listings, TAXONOMY, policy), policy, links)


def splits(made):
    return {row.lesion.key: row.lesion.split for row in made.rows}


def test_a_source_with_held_out_parts_keeps_its_splits():
    rows = [("A", "train"), ("B", "validation"), ("C", "test")]
    made = plan(listing("isic2017", rows))
    assert splits(made) == {"A": "train", "B": "validation", "C": "test"}
    assert made.findings["split"] == {"isic2017": "official"}


def test_a_source_with_only_a_training_part_is_divided():
    made = plan(listing("made", [(f"K{index}", "train") for index in range(100)]))
    counts = [list(splits(made).values()).count(name) for name in ("train", "validation", "test")]
    assert counts == [70, 15, 15]
    assert made.findings["split"] == {"made": "0.7/0.15/0.15"}


def test_two_folders_of_one_source_count_as_one():
    """The training folder stays whole where the validation folder is added beside it."""
    made = plan(
        listing("isic2017", [(f"K{index}", "train") for index in range(20)]),
        listing("isic2017", [("V", "validation")]),
    )
    assert set(splits(made).values()) == {"train", "validation"}
    assert splits(made)["V"] == "validation"


def test_official_leaves_everything_where_it_stands():
    made = plan(listing("made", [(f"K{i}", "train") for i in range(20)]), split="official")
    assert set(splits(made).values()) == {"train"}


def test_fractions_divide_official_sources_too():
    rows = [(f"K{i}", "train") for i in range(50)] + [(f"T{i}", "test") for i in range(50)]
    made = plan(listing("isic2017", rows), split="0.5/0/0.5")
    assert list(splits(made).values()).count("train") == 50
    assert {splits(made)[f"K{i}"] for i in range(50)} == {"train", "test"}


def test_another_seed_divides_otherwise_and_the_same_seed_alike():
    rows = [(f"K{index}", "train") for index in range(60)]
    assert splits(plan(listing("made", rows), seed=1)) == splits(
        plan(listing("made", rows), seed=1)
    )
    assert splits(plan(listing("made", rows), seed=1)) != splits(
        plan(listing("made", rows), seed=2)
    )


def test_a_test_image_of_one_source_leaves_the_training_part_of_another():
    """ISIC 2018 trains on images that ISIC 2017 tests on; ISIC 2019 under another name."""
    made = plan(
        listing("isic2017", [("ISIC_0000001", "train"), ("ISIC_0000002", "test")]),
        listing("isic2018", [("ISIC_0000002", "train"), ("ISIC_0000003", "validation")]),
        listing("isic2019", [("ISIC_0000002_downsampled", "train"), ("ISIC_0000009", "train")]),
    )
    placed = {(row.lesion.source, row.lesion.key): row.lesion.split for row in made.rows}
    assert ("isic2018", "ISIC_0000002") not in placed
    assert placed[("isic2017", "ISIC_0000002")] == "test"
    assert placed[("isic2019", "ISIC_0000002_downsampled")] == "test"
    assert made.findings["held_out_elsewhere"] == {"isic2018": 1}


def test_linked_images_stay_together():
    rows = [(f"K{index}", "train") for index in range(40)]
    links = [(f"K{index}", f"K{index + 1}") for index in range(0, 40, 2)]
    made = splits(plan(listing("made", rows), links=links))
    assert all(made[left] == made[right] for left, right in links)
    assert len(set(made.values())) == 3


def test_missing_and_unmapped_rows_are_counted_and_named():
    made = plan(
        listing(
            "made",
            [("A", "train"), ("B", "train", {"diagnosis": "wart"})],
            missing=[f"M{index}" for index in range(9)],
        )
    )
    assert splits(made).keys() == {"A"}
    assert made.findings["unmapped"] == {"made": {"wart": 1}}
    assert made.findings["missing"] == {
        "made": {"count": 9, "first": ["M0", "M1", "M2", "M3", "M4"]}
    }


def test_the_order_depends_on_names_alone():
    rows = [(f"K{index}", "train") for index in range(30)]
    forward = [row.lesion.key for row in plan(listing("made", rows), split="official").rows]
    backward = [row.lesion.key for row in plan(listing("made", rows[::-1]), split="official").rows]
    fewer = [row.lesion.key for row in plan(listing("made", rows[:20]), split="official").rows]
    assert forward == backward
    assert forward != sorted(forward)
    assert [key for key in forward if key in fewer] == fewer


def test_an_image_named_twice_is_refused():
    with pytest.raises(MelanomaError, match="made has A twice"):
        plan(listing("made", [("A", "train"), ("A", "test")]))


def test_no_row_with_a_class_is_refused():
    with pytest.raises(MelanomaError, match="a class of isic2017 in made; no row"):
        plan(listing("made", [("A", "train", {"diagnosis": "wart"})]))


def test_a_data_set_without_its_images_is_not_called_one_without_classes():
    with pytest.raises(MelanomaError, match="made: expected image files for 7 rows; found none"):
        plan(listing("made", [], missing=[f"K{index}" for index in range(7)]))


def test_what_the_listing_passed_over_is_counted_by_name_without_folders():
    found = listing("made", [("A", "train"), ("B", "train")])
    passed = tuple(PassedOver(Path(f"private/{name}.gif"), "of another type") for name in "xyz")
    found = replace(
        found, unlabelled=("C",), passed_over=passed, image_types={"dermoscopic": 1, "other": 1}
    )
    findings = plan(found, found_again()).findings
    assert findings["unlabelled"] == {"made": {"count": 1, "first": ["C"]}}
    assert findings["passed_over"] == {
        "made": {"of another type": {"count": 3, "first": ["x.gif", "y.gif", "z.gif"]}}
    }
    assert findings["image_types"] == {"made": {"dermoscopic": 3, "other": 1}}


def found_again():
    """A second folder of the same source."""
    return replace(listing("made", [("D", "train")]), image_types={"dermoscopic": 2})
