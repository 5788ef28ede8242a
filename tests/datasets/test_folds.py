"""Folds: no group in two, every class in each, the same whatever the order."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.folds import assign_folds

IMAGES = st.lists(
    st.tuples(st.sampled_from([f"patient {n}" for n in range(30)]), st.sampled_from("abc")),
    min_size=1,
    max_size=120,
)


@given(IMAGES, st.integers(2, 6), st.integers(0, 3), st.randoms())
def test_no_group_is_divided_and_the_order_does_not_matter(images, folds, seed, random):
    groups, names = zip(*images)
    if len(set(groups)) < folds:
        with pytest.raises(MelanomaError, match=f"as the {folds} folds; found {len(set(groups))}"):
            assign_folds(groups, names, folds, seed=seed)
        return
    dealt = assign_folds(groups, names, folds, seed=seed)
    assert len(dealt) == len(images)
    assert set(dealt) == set(range(folds)), "no fold is empty"
    folds_of = defaultdict(set)
    for group, fold in zip(groups, dealt):
        folds_of[group].add(fold)
    assert all(len(found) == 1 for found in folds_of.values())
    order = list(range(len(images)))
    random.shuffle(order)
    again = assign_folds([groups[i] for i in order], [names[i] for i in order], folds, seed=seed)
    assert again == [dealt[i] for i in order]


def test_single_images_are_spread_to_within_one_of_each_class():
    names = ["melanoma"] * 13 + ["nevus"] * 101 + ["keratosis"] * 5
    dealt = assign_folds([str(index) for index in range(len(names))], names, 5)
    for name in set(names):
        counts = Counter(fold for fold, own in zip(dealt, names) if own == name)
        assert max(counts.values()) - min(counts[fold] for fold in range(5)) <= 1


def test_uneven_patients_are_spread_as_well_as_by_scikit_learn():
    """As in ISIC 2020: a few patients hold most melanomas, among many nevi."""
    random = np.random.default_rng(0)
    groups, names = [], []
    for patient in range(400):
        size = int(random.geometric(1 / 15))
        melanomas = random.binomial(size, 0.3) if random.random() < 0.1 else 0
        groups += [f"{patient}"] * size
        names += ["melanoma"] * melanomas + ["nevus"] * (size - melanomas)

    def unevenness(dealt):
        shares = [
            np.bincount([f for f, own in zip(dealt, names) if own == name], minlength=5)
            / names.count(name)
            for name in ("melanoma", "nevus")
        ]
        return np.std(shares, axis=1).max()

    theirs = np.zeros(len(names), int)
    divider = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for fold, (_, held_out) in enumerate(divider.split(names, names, groups)):
        theirs[held_out] = fold
    ours = assign_folds(groups, names, 5)
    assert unevenness(ours) <= max(1.2 * unevenness(theirs), 0.01)


def test_another_seed_gives_other_folds_and_one_fold_is_none():
    groups = [str(index) for index in range(40)]
    assert assign_folds(groups, ["a"] * 40, 4) != assign_folds(groups, ["a"] * 40, 4, seed=1)
    with pytest.raises(MelanomaError, match="expected 2 folds or more; found 1"):
        assign_folds(groups, ["a"] * 40, 1)
