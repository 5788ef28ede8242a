"""Folds for cross-validation: whole groups, each fold with its share of every class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.splits import order_hash


def assign_folds(
    groups: Sequence[str], class_names: Sequence[str], folds: int, *, seed: int = 0
) -> list[int]:
    """Deal whole groups to folds so that each gets its share of every class.

    Groups that hold much of a class are dealt first, equals in the order of a seeded hash. Each
    goes to the fold that holds least of the group's classes. So the folds do not depend on the
    order of the images; a class whose groups are single images is spread to within one image.

    Args:
        groups: of each image, what must not be separated.
        class_names: of each image.
        folds: how many, at least 2.
        seed: another one gives other folds.

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
        """How uneven the group could make the folds: the sum of its squared shares of classes."""
        return sum((members[group][name] / totals[name]) ** 2 for name in sorted(members[group]))

    filled = [Counter[str]() for _ in range(folds)]
    dealt: dict[str, int] = {}
    for group in sorted(
        members, key=lambda group: (-weight(group), order_hash(seed, group), group)
    ):
        fold = min(range(folds), key=lambda index: _fullness(filled[index], members[group], totals))
        filled[fold].update(members[group])
        dealt[group] = fold
    return [dealt[group] for group in groups]


def _fullness(filled: Counter[str], group: Counter[str], totals: Counter[str]) -> tuple[float, int]:
    """How much a fold holds of a group's classes, then how many images it holds at all.

    The squared deviations from equal shares grow by this, up to a constant, when the group comes
    in. The order of the sum is fixed, so that rounding cannot make folds depend on it.
    """
    overlap = sum(filled[name] * group[name] / totals[name] ** 2 for name in sorted(group))
    return overlap, sum(filled.values())
