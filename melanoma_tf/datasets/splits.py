"""Splits without leakage: images of one patient, lesion or picture share a split."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import SOURCES
from melanoma_tf.datasets.connected import connected_groups
from melanoma_tf.datasets.lesion import SPLITS, Lesion, Listing

# Sources that are fed by one archive: equal ids mean the same in all of them.
_ARCHIVES = {source.name: source.archive for source in SOURCES if source.archive}
# An id of the ISIC archive names the same picture in any source, the user's own folder too.
_ISIC = "isic"
_ISIC_ID = re.compile(r"(ISIC_\d{7})(?:_downsampled)?")


@dataclass(frozen=True)
class Fractions:
    """Fractions of the images in each split, which add up to 1."""

    train: float
    validation: float
    test: float

    def __post_init__(self) -> None:
        values = self.by_split().values()
        if any(not 0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-6:
            found = "/".join(f"{value:g}" for value in values)
            raise MelanomaError(f"expected three fractions that add up to 1; found {found}")

    def by_split(self) -> dict[str, float]:
        """Map the name of each split to its fraction."""
        return dict(zip(SPLITS, (self.train, self.validation, self.test)))


def parse_fractions(text: str) -> Fractions:
    """Read `0.7/0.15/0.15`: the fractions of train, validation and test.

    Raises:
        MelanomaError: not three numbers from 0 to 1 that add up to 1.
    """
    try:
        values = [float(part) for part in text.split("/")]
    except ValueError:
        values = []
    if len(values) != len(SPLITS):
        raise MelanomaError(f"expected TRAIN/VALIDATION/TEST such as 0.7/0.15/0.15; found {text!r}")
    return Fractions(*values)


def namespace(source: str) -> str:
    """Return the namespace of a source's ids: that of its archive, or the source's own."""
    return _ARCHIVES.get(source, source)


def picture_name(source: str, key: str) -> str:
    """Name a picture uniquely across sources: `isic/ISIC_0012345`.

    ISIC 2019 has images of earlier years as `ISIC_0012345_downsampled`: the same picture.
    """
    match = _ISIC_ID.fullmatch(key)
    return f"{_ISIC}/{match[1]}" if match else f"{namespace(source)}/{key}"


def shared_ids(source: str, key: str, lesion_id: str | None, patient_id: str | None) -> list[str]:
    """Name what images have in common across sources, by which they are grouped.

    Returns:
        `image isic/ISIC_0012345` and, where known, `lesion isic/IL_0012345` and
        `patient isic/IP_0012345`.
    """
    space = namespace(source)
    named = [f"image {picture_name(source, key)}"]
    named += [f"lesion {space}/{lesion_id}"] if lesion_id else []
    return named + ([f"patient {space}/{patient_id}"] if patient_id else [])


def known_links(listings: Iterable[Listing]) -> Iterator[tuple[str, str]]:
    """Yield pairs of keys known to show the same picture, for `group_lesions`.

    They are found by name (`ISIC_0012345_downsampled` is `ISIC_0012345`; one ISIC id in two
    sources gives the pair of that id with itself) and in the sources' own lists of duplicates
    (that of ISIC 2020, if present), whose pairs need not all be present.
    """
    listings = list(listings)
    first: dict[str, str] = {}
    for lesion in (lesion for listing in listings for lesion in listing.lesions):
        name = picture_name(lesion.source, lesion.key)
        if name in first:
            yield first[name], lesion.key
        else:
            first[name] = lesion.key
    for listing in listings:
        yield from listing.links


def group_lesions(lesions: Sequence[Lesion], links: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Group the lesions that share a patient, a lesion or a picture.

    Sharing is transitive, and reaches across sources of one archive.

    Args:
        lesions: from any number of sources.
        links: pairs of keys known to show the same picture, or of names `source/key`. A key in
            several sources means all of them; an unknown key is ignored.

    Returns:
        One group id per lesion, `patient:isic/IP_0012345`: the patient's if one is known, else the
        lesion's, else the image's; the first in the alphabet if a group has several. It does not
        depend on the order of lesions or links.
    """
    index: dict[str, int] = {}
    nodes = [_nodes(lesion) for lesion in lesions]
    for node in (node for own in nodes for node in own):
        index.setdefault(node, len(index))
    pairs = [(index[own[0]], index[other]) for own in nodes for other in own[1:]]
    for left, right in linked_pairs(lesions, links):
        pairs.append((index[nodes[left][0]], index[nodes[right][0]]))
    group = connected_groups(len(index), pairs)
    names: dict[int, str] = {}
    for node, place in index.items():
        names[group[place]] = min(names.get(group[place], node), node, key=_by_kind)
    return [names[group[index[own[0]]]] for own in nodes]


def linked_pairs(
    lesions: Sequence[Lesion], links: Iterable[tuple[str, str]]
) -> Iterator[tuple[int, int]]:
    """Yield the indices of lesions that links connect.

    Args:
        lesions: from any number of sources.
        links: pairs of keys or names, see `group_lesions`.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for index, lesion in enumerate(lesions):
        places[lesion.key].append(index)
        places[lesion.name].append(index)
    for left, right in links:
        linked = [*places.get(left, ()), *places.get(right, ())]
        yield from ((linked[0], other) for other in linked[1:])


def assign_splits(
    lesions: Sequence[Lesion],
    fractions: Fractions,
    seed: int,
    groups: Sequence[str],
    kept: Mapping[str, str] | None = None,
) -> tuple[Lesion, ...]:
    """Assign whole groups to the splits, stratified by diagnosis.

    Groups are taken in the order of a seeded hash, so the same seed gives the same splits for any
    order of the lesions, and each goes to the split that is furthest below its fraction. A
    diagnosis with at least three groups reaches all three splits whose fractions are not 0.

    Args:
        lesions: the rows; their own splits are ignored.
        fractions: fraction of the images per split.
        seed: seed of the order of the groups.
        groups: the group of each lesion, from `group_lesions`.
        kept: group -> split for groups that are fixed, since they contain a held-out image.

    Returns:
        The lesions, in their order, each in its split.
    """
    split_of = dict(kept or {})
    sizes = Counter(groups)
    for stratum in _strata(lesions, groups, split_of.keys()):
        stratum.sort(key=lambda group: (order_hash(seed, group), group))
        split_of.update(_assigned(stratum, sizes, fractions.by_split()))
    return tuple(lesion.with_split(split_of[group]) for lesion, group in zip(lesions, groups))


def order_hash(seed: int, group: str) -> bytes:
    """Hash a group's name for a pseudo-random order that is the same on every machine."""
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=16).digest()


def _nodes(lesion: Lesion) -> list[str]:
    """List the `shared_ids` of a lesion as `image:isic/ISIC_0012345`; the image's comes first."""
    named = shared_ids(lesion.source, lesion.key, lesion.lesion_id, lesion.patient_id)
    return [name.replace(" ", ":", 1) for name in named]


_KINDS = ("patient", "lesion", "image")


def _by_kind(node: str) -> tuple[int, str]:
    return _KINDS.index(node.partition(":")[0]), node


def _strata(
    lesions: Sequence[Lesion], groups: Sequence[str], kept: Iterable[str]
) -> list[list[str]]:
    """Sort the groups into strata by the rarest diagnosis that each contains."""
    counts = Counter(lesion.diagnosis for lesion in lesions)
    done = frozenset(kept)
    rarest: dict[str, str] = {}
    for lesion, group in zip(lesions, groups):
        so_far = rarest.setdefault(group, lesion.diagnosis)
        if (counts[lesion.diagnosis], lesion.diagnosis) < (counts[so_far], so_far):
            rarest[group] = lesion.diagnosis
    strata: dict[str, list[str]] = defaultdict(list)
    for group, diagnosis in rarest.items():
        if group not in done:
            strata[diagnosis].append(group)
    return [strata[diagnosis] for diagnosis in sorted(strata)]


def _assigned(
    ordered: Sequence[str], sizes: Mapping[str, int], fractions: Mapping[str, float]
) -> dict[str, str]:
    """Assign each group to the split that is filled least, relative to its fraction."""
    targets = {split: fraction for split, fraction in fractions.items() if fraction > 0}
    filled = dict.fromkeys(targets, 0)
    assigned = {}
    for group in ordered:
        # min keeps the first of equals: train before validation before test.
        split = min(targets, key=lambda name: filled[name] / targets[name])
        filled[split] += sizes[group]
        assigned[group] = split
    return assigned
