"""Splits that leak nothing: images of one patient, lesion or picture always stand together."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import SPLITS, Lesion

# These draw their images, lesions and patients from one archive: equal ids mean the same there.
_ARCHIVE = "isic"
_ARCHIVE_SOURCES = frozenset(
    {"isic2016", "isic2017", "isic2018", "isic2019", "isic2020", "isic2024", "ham10000"}
    | {"isic-archive"}
)
# The archive's ids name the same picture wherever they appear, in a folder of one's own too.
_ISIC_ID = re.compile(r"(ISIC_\d{7})(?:_downsampled)?")


@dataclass(frozen=True)
class Fractions:
    """The share of the images that each split is to have; the three add up to 1."""

    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        shares = self.by_split().values()
        if any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
            found = "/".join(f"{share:g}" for share in shares)
            raise MelanomaError(f"expected three fractions that add up to 1; found {found}")

    def by_split(self) -> dict[str, float]:
        """Split name -> share."""
        return dict(zip(SPLITS, (self.train, self.validation, self.test)))


def parse_fractions(text: str) -> Fractions:
    """Read `0.7/0.15/0.15`: the shares of train, validation and test.

    Raises:
        MelanomaError: not three numbers from 0 to 1 that add up to 1.
    """
    try:
        shares = [float(part) for part in text.split("/")]
    except ValueError:
        shares = []
    if len(shares) != len(SPLITS):
        raise MelanomaError(f"expected TRAIN/VALIDATION/TEST such as 0.7/0.15/0.15; found {text!r}")
    return Fractions(*shares)


def namespace(source: str) -> str:
    """Where a source's ids hold: one for all that the ISIC archive feeds, else the source's own."""
    return _ARCHIVE if source in _ARCHIVE_SOURCES else source


def picture_name(source: str, key: str) -> str:
    """A picture's name over all sources: `isic/ISIC_0012345`.

    ISIC 2019 holds images of earlier years as `ISIC_0012345_downsampled`, which is the same
    picture.
    """
    match = _ISIC_ID.fullmatch(key)
    return f"{_ARCHIVE}/{match[1]}" if match else f"{namespace(source)}/{key}"


def image_name(lesion: Lesion) -> str:
    """The `picture_name` of a lesion's image."""
    return picture_name(lesion.source, lesion.key)


def same_pictures(lesions: Iterable[Lesion]) -> Iterator[tuple[str, str]]:
    """Pairs of keys that name the same picture; the first key of each picture is in all its pairs.

    One key in two sources gives the pair of that key with itself.
    """
    first: dict[str, str] = {}
    for lesion in lesions:
        name = image_name(lesion)
        if name in first:
            yield first[name], lesion.key
        else:
            first[name] = lesion.key


def group_lesions(lesions: Sequence[Lesion], links: Iterable[tuple[str, str]] = ()) -> list[str]:
    """The group of each lesion: those that share a patient, a lesion or a picture share it.

    Sharing is transitive, and reaches across sources whose ids come from one archive.

    Args:
        lesions: of any number of sources.
        links: pairs of keys known to show the same picture, or of names `source/key`. A key that
            several sources use means all of them, one that none uses is passed over.

    Returns:
        One group id per lesion, `patient:isic/IP_0012345`: the patient's where one is known, else
        the lesion's, else the image's; the first in the alphabet where a group has several. It
        does not depend on the order of the lesions or links.
    """
    forest = _Forest()
    nodes_by_key: dict[str, list[str]] = defaultdict(list)
    for lesion in lesions:
        first, *others = _nodes(lesion)
        nodes_by_key[lesion.key].append(first)
        nodes_by_key[lesion.name].append(first)
        for other in others:
            forest.unite(first, other)
    for left, right in links:
        linked = [*nodes_by_key.get(left, ()), *nodes_by_key.get(right, ())]
        for other in linked[1:]:
            forest.unite(linked[0], other)
    names: dict[str, str] = {}
    for lesion in lesions:
        for node in _nodes(lesion):
            root = forest.root(node)
            names[root] = min(names.get(root, node), node, key=_by_kind)
    return [names[forest.root(_nodes(lesion)[0])] for lesion in lesions]


def assign_splits(
    lesions: Sequence[Lesion],
    fractions: Fractions,
    seed: int,
    groups: Sequence[str],
    kept: Mapping[str, str] | None = None,
) -> tuple[Lesion, ...]:
    """Deal whole groups to the splits, in each diagnosis apart so that rare ones reach them all.

    Groups are taken in the order of a seeded hash, so the same seed gives the same splits for any
    order of the lesions, and each goes to the split that is farthest from its share. A diagnosis
    with three groups or more reaches all three splits, where their fractions are not 0.

    Args:
        lesions: to be dealt; the splits that they stand in are passed over.
        fractions: share of the images per split.
        seed: another one gives other splits.
        groups: of each lesion, from `group_lesions`.
        kept: group -> split for groups that are not dealt, since a held-out set is among them.

    Returns:
        The lesions, in their order, each in its split.
    """
    split_of = dict(kept or {})
    sizes = Counter(groups)
    for stratum in _strata(lesions, groups, split_of.keys()):
        stratum.sort(key=lambda group: (order_hash(seed, group), group))
        split_of.update(_deal(stratum, sizes, fractions.by_split()))
    return tuple(lesion.with_split(split_of[group]) for lesion, group in zip(lesions, groups))


def kept_groups(
    lesions: Sequence[Lesion], groups: Sequence[str], kept_sources: Mapping[str, str]
) -> dict[str, str]:
    """Groups that a held-out set takes with it, for `assign_splits`: `{"isic2017": "test"}`.

    Args:
        lesions: of all sources.
        groups: of each lesion.
        kept_sources: source -> the split of that source that stays whole.

    Returns:
        Group -> split. All images of these groups, of whatever source, belong into that split.

    Raises:
        MelanomaError: two held-out sets share a group.
    """
    found: dict[str, str] = {}
    for lesion, group in zip(lesions, groups):
        if kept_sources.get(lesion.source) != lesion.split:
            continue
        if found.setdefault(group, lesion.split) != lesion.split:
            raise MelanomaError(
                f"expected held-out sets without a common image, lesion or patient; {group} is in"
                f" {found[group]} and {lesion.split}"
            )
    return found


def _nodes(lesion: Lesion) -> list[str]:
    space = namespace(lesion.source)
    nodes = [f"image:{image_name(lesion)}"]
    if lesion.lesion_id:
        nodes.append(f"lesion:{space}/{lesion.lesion_id}")
    if lesion.patient_id:
        nodes.append(f"patient:{space}/{lesion.patient_id}")
    return nodes


_KINDS = ("patient", "lesion", "image")


def _by_kind(node: str) -> tuple[int, str]:
    return _KINDS.index(node.partition(":")[0]), node


class _Forest:
    """Disjoint sets of names, with path halving."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        parent = self._parent
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def unite(self, left: str, right: str) -> None:
        self._parent[self.root(right)] = self.root(left)


def _strata(
    lesions: Sequence[Lesion], groups: Sequence[str], kept: Iterable[str]
) -> list[list[str]]:
    """Groups by the rarest diagnosis that each holds."""
    counts = Counter(lesion.diagnosis for lesion in lesions)
    done = frozenset(kept)
    rarest: dict[str, str] = {}
    for lesion, group in zip(lesions, groups):
        records = rarest.setdefault(group, lesion.diagnosis)
        if (counts[lesion.diagnosis], lesion.diagnosis) < (counts[records], records):
            rarest[group] = lesion.diagnosis
    strata: dict[str, list[str]] = defaultdict(list)
    for group, diagnosis in rarest.items():
        if group not in done:
            strata[diagnosis].append(group)
    return [strata[diagnosis] for diagnosis in sorted(strata)]


def _deal(
    ordered: Sequence[str], sizes: Mapping[str, int], shares: Mapping[str, float]
) -> dict[str, str]:
    """Each group to the split that has the smallest part of what it is to get."""
    known_fractions = {split: share for split, share in shares.items() if share > 0}
    filled = dict.fromkeys(known_fractions, 0)
    dealt = {}
    for group in ordered:
        # min keeps the first of equals: train before validation before test.
        split = min(known_fractions, key=lambda name: filled[name] / known_fractions[name])
        filled[split] += sizes[group]
        dealt[group] = split
    return dealt


def order_hash(seed: int, group: str) -> bytes:
    """What groups are ordered by: as good as random, and the same on every machine."""
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=16).digest()
