"""Images that show the same picture under other names, sizes, crops or JPEG qualities.

Candidates come from a perceptual hash (`candidates`), and are confirmed by pixel
(`same_picture`). Several photographs of one lesion are not the same picture.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.connected import connected_groups
from melanoma_tf.datasets.lesion import SPLITS, Lesion
from melanoma_tf.datasets.splits import linked_pairs
from melanoma_tf.records.build.candidates import find_candidates
from melanoma_tf.records.build.same_picture import similarity
from melanoma_tf.records.build.settings import TREATMENTS
from melanoma_tf.records.build.threads import map_in_threads
from melanoma_tf.records.build.thumbnails import BLANK, Selection, Thumbnails

# Of 12,015 real images no two different pictures reached 0.83; copies at half the size, cropped,
# mirrored or at JPEG quality 30 lie above 0.92, and nine of ten at quality 10 above this
# (`scripts/benchmarks/duplicates.py`).
SAME_PICTURE = 0.86
# Records are scaled and re-encoded, which changes the similarity a little: a folder must not be
# refused for a pair that was just below the threshold when it was built.
SAME_PICTURE_IN_RECORDS = 0.89
_THUMBNAILS_PER_BLOCK = 256


@dataclass(frozen=True)
class Pair:
    """Two images that show one picture: their indices, and the correlation of their details."""

    left: int
    right: int
    similarity: float


@dataclass(frozen=True)
class Cluster:
    """Images that all show one picture.

    Attributes:
        members: indices of the images, in order.
        similarity: the least among the pairs found by content; None for pairs found by name only.
    """

    members: tuple[int, ...]
    similarity: float | None


@dataclass(frozen=True)
class Resolution:
    """Treatment of duplicates in a build.

    Attributes:
        links: pairs of names `source/key` that must share a split.
        dropped: names of the images to leave out.
        findings: for the manifest.
    """

    links: tuple[tuple[str, str], ...] = ()
    dropped: frozenset[str] = frozenset()
    findings: dict[str, Any] = field(default_factory=dict)


def find_pairs(
    thumbnails: Thumbnails,
    *,
    least_similarity: float = SAME_PICTURE,
    wanted: Callable[[int, int], bool] | None = None,
    workers: int = 1,
) -> list[Pair]:
    """Find the pairs of images that show one picture.

    Memory grows with the number of images, not with its square; so does the time beyond
    `candidates.MOST_COMPARED` images.

    Args:
        thumbnails: a file of them, or uint8 `(count, 64, 64)`.
        least_similarity: least correlation of two images that show one picture.
        wanted: whether a pair matters; the others are not compared.
        workers: number of threads.

    Returns:
        The pairs, sorted by index. Many copies of one picture are connected by some pairs.
    """
    distinct, repeated = _distinct(thumbnails)
    chosen = Selection(thumbnails, distinct) if len(distinct) < len(thumbnails) else thumbnails
    pairs = [Pair(*two, 1.0) for two in repeated if wanted is None or wanted(*two)]
    places = {
        candidate: (distinct[candidate.whole], distinct[candidate.part])
        for candidate in find_candidates(chosen, workers=workers)
    }
    likely = [each for each, pair in places.items() if wanted is None or wanted(*sorted(pair))]
    images = ((each, chosen[each.whole], chosen[each.part]) for each in likely)
    values = map_in_threads(similarity, images, workers=workers, bundle=4)
    for candidate, found in zip(likely, values):
        if found >= least_similarity:
            left, right = sorted(places[candidate])
            pairs.append(Pair(left, right, found))
    return sorted(pairs, key=lambda pair: (pair.left, pair.right))


def _distinct(thumbnails: Thumbnails) -> tuple[list[int], list[tuple[int, int]]]:
    """Find the first of all equal thumbnails, blank ones left out, and pair it with the others.

    A thousand equal ones would otherwise be half a million candidates.
    """
    first: dict[bytes, int] = {}
    repeated = []
    for begin in range(0, len(thumbnails), _THUMBNAILS_PER_BLOCK):
        block = thumbnails[begin : begin + _THUMBNAILS_PER_BLOCK]
        for index, thumbnail in enumerate(block, start=begin):
            content = thumbnail.tobytes()
            if content != BLANK:
                same = first.setdefault(hashlib.blake2b(content, digest_size=16).digest(), index)
                if same != index:
                    repeated.append((same, index))
    return list(first.values()), repeated


def find_clusters(
    lesions: Sequence[Lesion],
    thumbnails: Thumbnails,
    links: Iterable[tuple[str, str]] = (),
    *,
    order: Sequence[int] | None = None,
    workers: int = 1,
) -> list[Cluster]:
    """Find the images that show one picture, by content and by known links.

    Args:
        lesions: images of any number of data sets.
        thumbnails: one per image; a blank one is not compared.
        links: pairs of keys known to show one picture.
        order: the index in `lesions` of each thumbnail, by default its own.
        workers: number of threads.

    Returns:
        The clusters of two images or more.
    """
    pairs = find_pairs(thumbnails, workers=workers)
    if order is not None:
        pairs = [Pair(order[pair.left], order[pair.right], pair.similarity) for pair in pairs]
    return _clusters(len(lesions), pairs, linked_pairs(lesions, links))


def split_clusters(clusters: Iterable[Cluster], count: int) -> tuple[list[Cluster], list[int]]:
    """Set apart the clusters that reach into other record folders.

    Args:
        clusters: of images whose first `count` are those of a build, and the rest those of others.
        count: number of images of the build.

    Returns:
        The clusters of the build alone, and the images of the build that others have too.
    """
    own, shared = [], []
    for cluster in clusters:
        members = [each for each in cluster.members if each < count]
        if len(members) == len(cluster.members):
            own.append(cluster)
        else:
            shared += members
    return own, sorted(shared)


def resolve_duplicates(
    lesions: Sequence[Lesion],
    keeps_split: Sequence[bool],
    clusters: Sequence[Cluster],
    pixels: Sequence[int],
    treatment: str,
) -> Resolution:
    """Decide how each cluster is handled.

    `group` links its images, so that they share a split. `keep` only reports them. `drop` keeps
    one image: the largest, of equals the first by name. If images of a held-out set are among them,
    it keeps all images of the most held-out split instead, since held-out sets stay whole.

    Args:
        lesions: all images.
        keeps_split: per image whether it keeps its official split.
        clusters: clusters of indices of `lesions`.
        pixels: size of each image.
        treatment: one of `TREATMENTS`.

    Raises:
        MelanomaError: the treatment is unknown.
    """
    if treatment not in TREATMENTS:
        raise MelanomaError(
            f"expected a treatment out of {', '.join(TREATMENTS)}; found {treatment!r}"
        )
    links: list[tuple[str, str]] = []
    dropped: list[str] = []
    for cluster in clusters:
        first, *others = cluster.members
        if treatment == "group":
            links += [(lesions[first].name, lesions[other].name) for other in others]
        elif treatment == "drop":
            survivors = _survivors(cluster, lesions, keeps_split, pixels)
            dropped += [lesions[each].name for each in cluster.members if each not in survivors]
    findings = {
        "treatment": treatment,
        "clusters": [
            {
                "images": [lesions[member].name for member in cluster.members],
                "similarity": cluster.similarity and round(cluster.similarity, 3),
            }
            for cluster in clusters
        ],
        "dropped": sorted(dropped),
    }
    return Resolution(tuple(links), frozenset(dropped), findings)


def _survivors(
    cluster: Cluster, lesions: Sequence[Lesion], keeps_split: Sequence[bool], pixels: Sequence[int]
) -> set[int]:
    def held_out(member: int) -> int:
        return SPLITS.index(lesions[member].split) if keeps_split[member] else 0

    most = max(held_out(member) for member in cluster.members)
    if most:
        return {member for member in cluster.members if held_out(member) == most}
    return {min(cluster.members, key=lambda member: (-pixels[member], lesions[member].name))}


def _clusters(count: int, pairs: Sequence[Pair], known: Iterable[tuple[int, int]]) -> list[Cluster]:
    groups = connected_groups(count, [*((pair.left, pair.right) for pair in pairs), *known])
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    least: dict[int, float] = {}
    for pair in pairs:
        group = groups[pair.left]
        least[group] = min(least.get(group, 1.0), pair.similarity)
    return [
        Cluster(tuple(found), least.get(group))
        for group, found in members.items()
        if len(found) > 1
    ]
