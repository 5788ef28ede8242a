"""Folds for cross-validation: whole groups, stratified by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.splits import order_hash


def assign_folds(
    groups: Sequence[str], class_names: Sequence[str], folds: int, *, seed: int = 0
) -> list[int]:
    """Assign whole groups to folds, stratified by class.

    Groups that contain much of a class are assigned first, equals in the order of a seeded hash.
    Each goes to the fold with the fewest images of the group's classes. The folds do not depend on
    the order of the images; a class of single-image groups is balanced to within one image.

    Args:
        groups: the group of each image; a group is never divided.
        class_names: the class of each image.
        folds: number of folds, at least 2.
        seed: seed of the order of equal groups.

    Returns:
        The fold of each image, from 0 on.

    Raises:
        MelanomaError: fewer than two folds, or fewer groups than folds.
    """
    if folds < 2:
        raise MelanomaError(f"expected 2 folds or more; found {folds}")
    members: dict[str, Counter[str]] = {}
    for group, name in zip(groups, class_names):
        members.setdefault(group, Counter())[name] += 1
    if len(members) < folds:
        raise MelanomaError(
            f"expected at least as many groups (patients, lesions, pictures) as the {folds} folds; "
            f"found {len(members)}"
        )
    totals = Counter(class_names)

    def weight(group: str) -> float:
        """Compute the sum of the group's squared fractions of its classes."""
        return sum((members[group][name] / totals[name]) ** 2 for name in sorted(members[group]))

    filled = [Counter[str]() for _ in range(folds)]
    assigned: dict[str, int] = {}
    for group in sorted(
        members, key=lambda group: (-weight(group), order_hash(seed, group), group)
    ):
        fold = min(range(folds), key=lambda index: _fullness(filled[index], members[group], totals))
        filled[fold].update(members[group])
        assigned[group] = fold
    return [assigned[group] for group in groups]


def _fullness(filled: Counter[str], group: Counter[str], totals: Counter[str]) -> tuple[float, int]:
    """Compute a fold's overlap with a group's classes, and its number of images.

    Adding the group increases the squared deviations from equal fractions by the overlap, up to a
    constant. The order of the sum is fixed, so that rounding cannot change the folds.
    """
    overlap = sum(filled[name] * group[name] / totals[name] ** 2 for name in sorted(group))
    return overlap, sum(filled.values())
