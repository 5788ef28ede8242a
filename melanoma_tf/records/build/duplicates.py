"""Images that are the same picture under other names, sizes, crops or JPEG qualities.

Candidates come from a perceptual hash (`candidates`), and are confirmed by pixel
(`same_picture`). Several photographs of one lesion are not the same picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from melanoma_tf.datasets.lesion import SPLITS, Lesion
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.build.candidates import find_candidates
from melanoma_tf.records.decode import DEFAULT_MAX_MEGAPIXELS
from melanoma_tf.records.build.same_picture import similarity
from melanoma_tf.records.build.thumbnails import ThumbnailFile, Thumbnails, fingerprint_all

TREATMENTS = ("drop", "group", "keep")

# Of 2,195 real images no two reached 0.74; copies at half the size, cropped by 2 %, mirrored or at
# JPEG quality 60 lie above 0.92, at quality 30 above 0.88 (`scripts/benchmarks/duplicates.py`).
SAME_PICTURE = 0.87
# Records are coded anew and scaled, which moves the figure a little: a folder that was built
# without its doubtful pairs must not be refused for one that has crossed the line since.
SAME_PICTURE_IN_RECORDS = 0.9


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
        similarity: the least among the pairs found by content; None where names alone tell.
    """

    members: tuple[int, ...]
    similarity: float | None


@dataclass(frozen=True)
class Treatment:
    """What is to be done about the duplicates.

    Attributes:
        links: pairs of names `source/key` that must stand in one split.
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
) -> list[Pair]:
    """The pairs of images that show one picture.

    Time and memory grow with the number of images, not with its square.

    Args:
        thumbnails: a file of them, or uint8 `(count, 64, 64)`.
        least_similarity: from which correlation on two pictures are the same.
        wanted: whether a pair matters; the others are not compared.

    Returns:
        Sorted by index. Of many copies not all pairs are named, but they hang together.
    """
    pairs = []
    for candidate in find_candidates(thumbnails):
        left, right = sorted((candidate.whole, candidate.part))
        if wanted is not None and not wanted(left, right):
            continue
        found = similarity(thumbnails, candidate)
        if found >= least_similarity:
            pairs.append(Pair(left, right, found))
    return sorted(pairs, key=lambda pair: (pair.left, pair.right))


def find_clusters(
    lesions: Sequence[Lesion],
    links: Iterable[tuple[str, str]] = (),
    *,
    max_megapixels: float = DEFAULT_MAX_MEGAPIXELS,
    workers: int = 1,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None,
) -> tuple[list[Cluster], list[int]]:
    """Images of any number of data sets that show one picture, by content and by known links.

    Args:
        lesions: the images; one that cannot be read is compared with none.
        links: pairs of keys known to show one picture.
        max_megapixels: an image that claims more is not decoded.
        workers: processes that decode.
        progress: wraps the stream of fingerprints, given their number.

    Returns:
        The clusters of two images or more, and the number of pixels of every image.
    """
    paths = (lesion.image_path for lesion in lesions)
    results: Iterable[Any] = fingerprint_all(paths, max_megapixels=max_megapixels, workers=workers)
    if progress is not None:
        results = progress(results, len(lesions))
    thumbnails = ThumbnailFile()
    indices: list[int] = []
    pixels: list[int] = []
    for index, found in enumerate(results):
        pixels.append(found.pixels if found else 0)
        if found and found.thumbnail is not None:
            thumbnails.append(found.thumbnail)
            indices.append(index)
    pairs = [
        Pair(indices[pair.left], indices[pair.right], pair.similarity)
        for pair in find_pairs(thumbnails)
    ]
    return _clusters(len(lesions), pairs, _known_pairs(lesions, links)), pixels


def treat(
    lesions: Sequence[Lesion],
    stays: Sequence[bool],
    clusters: Sequence[Cluster],
    pixels: Sequence[int],
    how: str,
) -> Treatment:
    """Decide what becomes of each cluster.

    `group` links its images, so that they come into one split. `keep` only reports. `drop` leaves
    one image: the largest, of equals the first by name. Where images of a held-out set are among
    them, it leaves those of the most held-out split, all of them, since held-out sets stay whole.

    Args:
        lesions: all images.
        stays: per image whether it keeps the split that it came with.
        clusters: of indices of `lesions`.
        pixels: size of each image.
        how: one of `TREATMENTS`.

    Raises:
        MelanomaError: there is no such treatment.
    """
    if how not in TREATMENTS:
        raise MelanomaError(f"expected a treatment out of {', '.join(TREATMENTS)}; found {how!r}")
    links: list[tuple[str, str]] = []
    dropped: list[str] = []
    for cluster in clusters:
        first, *others = cluster.members
        if how == "group":
            links += [(lesions[first].name, lesions[other].name) for other in others]
        elif how == "drop":
            left = _left(cluster, lesions, stays, pixels)
            dropped += [lesions[member].name for member in cluster.members if member not in left]
    findings = {
        "treatment": how,
        "clusters": [
            {
                "images": [lesions[member].name for member in cluster.members],
                "similarity": cluster.similarity and round(cluster.similarity, 3),
            }
            for cluster in clusters
        ],
        "dropped": sorted(dropped),
    }
    return Treatment(tuple(links), frozenset(dropped), findings)


def _left(
    cluster: Cluster, lesions: Sequence[Lesion], stays: Sequence[bool], pixels: Sequence[int]
) -> set[int]:
    def held_out(member: int) -> int:
        return SPLITS.index(lesions[member].split) if stays[member] else 0

    most = max(held_out(member) for member in cluster.members)
    if most:
        return {member for member in cluster.members if held_out(member) == most}
    return {min(cluster.members, key=lambda member: (-pixels[member], lesions[member].name))}


def _known_pairs(
    lesions: Sequence[Lesion], links: Iterable[tuple[str, str]]
) -> Iterator[tuple[int, int]]:
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, lesion in enumerate(lesions):
        by_key[lesion.key].append(index)
    for left, right in links:
        found = [*by_key.get(left, ()), *by_key.get(right, ())]
        yield from ((found[0], other) for other in found[1:] if other != found[0])


def _clusters(count: int, pairs: Iterable[Pair], known: Iterable[tuple[int, int]]) -> list[Cluster]:
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    pairs = list(pairs)
    for left, right in [*((pair.left, pair.right) for pair in pairs), *known]:
        # The smaller index becomes the root, so that clusters come in the order of their first.
        smaller, larger = sorted((root(left), root(right)))
        parent[larger] = smaller
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        members[root(index)].append(index)
    least: dict[int, float] = {}
    for pair in pairs:
        head = root(pair.left)
        least[head] = min(least.get(head, 1.0), pair.similarity)
    return [
        Cluster(tuple(found), least.get(head)) for head, found in members.items() if len(found) > 1
    ]
