from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.datasets.connected import connected_groups
from melanoma_tf.datasets.lesion import Lesion
from melanoma_tf.datasets.splits import (
    Fractions,
    assign_splits,
    group_lesions,
    parse_fractions,
)


def lesion(key, source="isic2019", diagnosis="nevus", split="train", **ids):
    return Lesion(key, Path(key), None, diagnosis, source, split, **ids)


def same_group(*lesions, links=()):
    return len(set(group_lesions(lesions, links))) == 1


ids = st.none() | st.sampled_from(["p1", "p2", "p3"])
lesions = st.lists(
    st.builds(
        lesion,
        key=st.integers(0, 40).map("ISIC_{}".format),
        source=st.sampled_from(["isic2017", "isic2019", "ph2"]),
        diagnosis=st.sampled_from(["nevus", "melanoma"]),
        lesion_id=ids,
        patient_id=ids,
    ),
    max_size=30,
)
links = st.lists(st.tuples(*[st.integers(0, 40).map("ISIC_{}".format)] * 2), max_size=5)


@given(lesions, links, st.integers(0, 3))
def test_what_must_stand_together_is_never_separated(rows, pairs, seed):
    assigned = assign_splits(rows, Fractions(0.5, 0.25, 0.25), seed, group_lesions(rows, pairs))
    splits = defaultdict(set)
    for row in assigned:
        space = "ph2" if row.source == "ph2" else "isic"
        splits["key", space, row.key].add(row.split)
        for name in ("patient_id", "lesion_id"):
            if getattr(row, name):
                splits[name, space, getattr(row, name)].add(row.split)
    for left, right in pairs:
        both = [row.split for row in assigned if row.key in (left, right)]
        splits["link", left, right].update(both)
    assert all(len(found) <= 1 for found in splits.values())


@given(lesions, links, st.randoms(use_true_random=False))
def test_the_order_of_lesions_and_links_changes_nothing(rows, pairs, random):
    fractions = Fractions(0.7, 0.15, 0.15)
    before = assign_splits(rows, fractions, 7, group_lesions(rows, pairs))
    shuffled, turned = list(rows), [pair[::-1] for pair in pairs]
    random.shuffle(shuffled)
    random.shuffle(turned)
    after = assign_splits(shuffled, fractions, 7, group_lesions(shuffled, turned))
    assert sorted(map(repr, before)) == sorted(map(repr, after))


def test_groups_reach_through_patients_lesions_and_links():
    assert same_group(lesion("a", patient_id="p"), lesion("b", patient_id="p", lesion_id="l"),
                      lesion("c", lesion_id="l"))  # fmt: skip
    assert same_group(lesion("a"), lesion("b"), lesion("c"), links=[("c", "b"), ("a", "c")])
    assert not same_group(lesion("a"), lesion("b"), links=[("a", "elsewhere")])
    assert not same_group(lesion("a", patient_id="same"), lesion("b", lesion_id="same"))
    assert not same_group(lesion("a", patient_id="", lesion_id=""), lesion("b", patient_id=""))
    assert group_lesions([]) == []


def test_ids_hold_over_all_sources_of_the_archive_and_nowhere_else():
    name = "ISIC_0000017"
    assert same_group(lesion(name, "isic2017"), lesion(f"{name}_downsampled", "isic2019"))
    assert same_group(lesion(name, "isic2017"), lesion(name, "folder"))
    assert same_group(
        lesion("x", "ham10000", lesion_id="HAM_1"), lesion("y", "isic2019", lesion_id="HAM_1")
    )
    assert not same_group(lesion("A1", "dermofit"), lesion("A1", "folder"))
    assert not same_group(
        lesion("a", "csv", patient_id="1"), lesion("b", "isic2020", patient_id="1")
    )
    assert same_group(lesion("A1", "dermofit"), lesion("A1", "folder"), links=[("A1", "A1")])


@pytest.mark.parametrize("seed", range(5))
def test_fractions_are_met_in_each_class(seed):
    rows = [lesion(f"n{i}") for i in range(300)]
    rows += [lesion(f"m{i}", diagnosis="melanoma") for i in range(40)]
    rows += [lesion(f"v{i}", diagnosis="vascular_lesion") for i in range(3)]
    assigned = assign_splits(rows, Fractions(0.7, 0.15, 0.15), seed, group_lesions(rows))
    counts = Counter((row.diagnosis, row.split) for row in assigned)
    for split, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert abs(counts["nevus", split] - 300 * share) <= 1
        assert abs(counts["melanoma", split] - 40 * share) <= 1
        assert counts["vascular_lesion", split] == 1


def test_another_seed_deals_otherwise_and_the_same_seed_alike():
    rows = [lesion(f"n{i}") for i in range(100)]
    first, again, other = (
        assign_splits(rows, Fractions(0.5, 0.25, 0.25), seed, group_lesions(rows))
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_fraction_of_zero_gets_nothing():
    rows = [lesion(f"n{i}") for i in range(10)]
    assigned = assign_splits(rows, Fractions(0.8, 0.0, 0.2), 0, group_lesions(rows))
    assert Counter(row.split for row in assigned) == {"train": 8, "test": 2}


def test_a_held_out_set_takes_its_patients_along():
    rows = [lesion(f"t{i}", "isic2017", split="test", patient_id=f"p{i}") for i in range(5)]
    rows += [lesion(f"o{i}", "isic2019", patient_id=f"p{i}") for i in range(40)]
    groups = group_lesions(rows)
    kept = {group: "test" for row, group in zip(rows, groups) if row.source == "isic2017"}
    assigned = assign_splits(rows, Fractions(0.5, 0.5, 0.0), 0, groups, kept)
    assert [row.key for row in assigned if row.split == "test"] == (
        [f"t{i}" for i in range(5)] + [f"o{i}" for i in range(5)]
    )


def test_fractions_as_text():
    assert parse_fractions("0.7/0.15/0.15") == Fractions(0.7, 0.15, 0.15)
    assert parse_fractions("1/0/0") == Fractions(1, 0, 0)


@pytest.mark.parametrize(
    "text",
    ["", "0.7", "0.7/0.3", "0.7/0.2/0.2", "1.2/-0.1/-0.1", "a/b/c", "nan/0.5/0.5", "1/0/0/0"],
)
def test_faulty_fractions_are_refused(text):
    with pytest.raises(MelanomaError, match="expected"):
        parse_fractions(text)


def test_real_images_reach_every_split(real_data):
    rows = list_source("isic2017", real_data / "isic2017").lesions
    assigned = assign_splits(rows, Fractions(0.7, 0.15, 0.15), 0, group_lesions(rows))
    counts = Counter((row.split, row.diagnosis) for row in assigned)
    assert counts["test", "melanoma"] == pytest.approx(114 * 0.15, abs=1)
    assert counts["train", "nevus"] == pytest.approx(342 * 0.7, abs=1)


@given(st.integers(0, 12).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(*[st.integers(0, max(n - 1, 0))] * 2), max_size=12 if n else 0)
)))  # fmt: skip
def test_connected_groups_are_those_that_pairs_reach(case):
    count, pairs = case
    groups = connected_groups(count, pairs)
    expected = list(range(count))
    for _ in range(count):
        for left, right in pairs:
            expected[left] = expected[right] = min(expected[left], expected[right])
    firsts = sorted(set(expected))
    assert groups == [firsts.index(group) for group in expected]
