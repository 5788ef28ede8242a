"""Which row goes where: labels, splits and the order of the records, before any image is read."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from melanoma_tf.datasets.lesion import SPLITS, Lesion, Listing, Taxonomy
from melanoma_tf.datasets.splits import Fractions, assign_splits, group_lesions, parse_fractions
from melanoma_tf.core.errors import MelanomaError

# What `--split auto` does with a source that has no held-out part of its own.
DEFAULT_FRACTIONS = "0.7/0.15/0.15"
_NAMED_MISSING = 5


@dataclass(frozen=True)
class Row:
    """One record to come: the image and its class index."""

    lesion: Lesion
    label: int


@dataclass(frozen=True)
class Plan:
    """What a build will do.

    Attributes:
        rows: in writing order.
        findings: JSON values for the manifest, each by source: `missing` (rows without an image
            file), `unmapped` (diagnoses without a class), `split` (how it was split) and
            `held_out_elsewhere` (rows left out since a held-out set has their group).
    """

    rows: tuple[Row, ...]
    findings: dict[str, Any]

    def expected(self) -> dict[str, int]:
        """The number of rows per split."""
        return dict(Counter(row.lesion.split for row in self.rows))

    def fingerprint(self) -> str:
        """A hash of all rows; folders do not count, so a data set may move."""
        digest = hashlib.sha256()
        for row in self.rows:
            fields = dataclasses.asdict(row.lesion)
            files = [path and path.name for path in (row.lesion.image_path, row.lesion.mask_path)]
            fields.update(zip(("image_path", "mask_path"), files))
            digest.update(repr((sorted(fields.items()), row.label)).encode())
        return digest.hexdigest()


def make_plan(
    listings: Sequence[Listing],
    taxonomy: Taxonomy,
    *,
    split: str,
    seed: int,
    links: Iterable[tuple[str, str]] = (),
    dropped: Collection[str] = (),
    keep: Collection[tuple[str, str]] = (),
) -> Plan:
    """Label, split and order the rows of some listings.

    Args:
        listings: what the adapters found; two may share a name (two folders of one source).
        taxonomy: rows whose diagnosis it does not know are left out and counted.
        split: `auto`, `official` or fractions such as `0.7/0.15/0.15`.
        seed: of the division by fractions.
        links: pairs of keys or names known to show the same picture, to be kept in one split.
        dropped: names `source/key` of rows to leave out.
        keep: (source, split) pairs that stay whole, as for `divide`.

    Raises:
        MelanomaError: no row is left, or a source names an image twice.
    """
    labelled = [row for row in label_rows(listings, taxonomy) if row.lesion.name not in dropped]
    lesions = [row.lesion for row in labelled]
    groups = group_lesions(lesions, links)
    divided, how = divide(lesions, groups, split, seed, keep)
    rows = [Row(lesion, row.label) for lesion, row in zip(divided, labelled) if lesion is not None]
    rows.sort(key=_order)
    left_out = Counter(old.source for old, new in zip(lesions, divided) if new is None)
    findings = {
        "missing": _missing(listings),
        "unmapped": _unmapped(listings, taxonomy),
        "split": how,
        "held_out_elsewhere": dict(sorted(left_out.items())),
    }
    return Plan(tuple(rows), findings)


def label_rows(listings: Sequence[Listing], taxonomy: Taxonomy) -> list[Row]:
    """The rows of some listings that have a class in a taxonomy, in the splits they came with.

    Raises:
        MelanomaError: no row is left, or a source names an image twice.
    """
    rows = [
        Row(lesion, label)
        for listing in listings
        for lesion in listing.lesions
        if (label := taxonomy.label(lesion.diagnosis)) is not None
    ]
    if not rows:
        names = ", ".join(listing.name for listing in listings) or "no source"
        raise MelanomaError(f"expected images with a class of {taxonomy.name} in {names}; no row")
    _refuse_repeated(row.lesion for row in rows)
    return rows


def parse_kept(texts: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Read `test=isic2017`, the form of `--keep-split`, into (source, split) pairs.

    Raises:
        MelanomaError: another form, or no held-out split.
    """
    kept = set()
    for text in texts:
        split, separator, source = text.partition("=")
        if not separator or not source or split not in SPLITS[1:]:
            raise MelanomaError(
                f"expected validation=SOURCE or test=SOURCE to keep a split; found {text!r}"
            )
        kept.add((source, split))
    return frozenset(kept)


def standing(
    lesions: Sequence[Lesion], split: str, keep: Collection[tuple[str, str]] = ()
) -> list[bool]:
    """Per row whether it stays in the split that it came with, rather than being dealt to one.

    Args:
        lesions: rows of all sources.
        split: `auto`, `official` or fractions.
        keep: (source, split) pairs that stay whole.

    Raises:
        MelanomaError: a split that is to be kept has no row.
    """
    present = {(lesion.source, lesion.split) for lesion in lesions}
    for source, name in sorted(set(keep) - present):
        raise MelanomaError(f"expected {source} to have {name} images to keep; found none")
    if split == "official":
        return [True] * len(lesions)
    held_out = {source for source, name in present if name != "train"}
    official = held_out if split == "auto" else set()
    return [
        lesion.source in official or (lesion.source, lesion.split) in keep for lesion in lesions
    ]


def divide(
    lesions: Sequence[Lesion],
    groups: Sequence[str],
    split: str,
    seed: int,
    keep: Collection[tuple[str, str]] = (),
) -> tuple[list[Lesion | None], dict[str, str]]:
    """Give every row its split, so that no group stands in two.

    With `auto`, a source that has a held-out part keeps its own splits, and the others are
    divided by group. Where official splits separate a group (an ISIC 2017 test image among the
    ISIC 2018 training images), the most held-out one keeps it and the other rows are left out,
    so that test sets stay as they were published. A divided row follows its group.

    A split in `keep` holds those images, all of them and none that is dealt: the other rows are
    dealt to the other splits, and a row that shares a group with a kept one is left out.

    Args:
        lesions: rows of all sources.
        groups: per row the name of its group.
        split: `auto`, `official` or fractions.
        seed: of the division by fractions.
        keep: (source, split) pairs that stay whole, whatever `split` says.

    Returns:
        The rows in their splits, None for those left out, and per source how it was split.
    """
    stays = standing(lesions, split, keep)
    fractions = DEFAULT_FRACTIONS if split in ("auto", "official") else split
    closed = {name for _, name in keep}
    kept: dict[str, str] = {}
    for lesion, group, stay in zip(lesions, groups, stays):
        if stay:
            kept[group] = max(kept.get(group, "train"), lesion.split, key=SPLITS.index)
    dealt = assign_splits(lesions, _without(fractions, closed), seed, groups, kept)
    rows = [
        None if (lesion.split != after.split if stay else after.split in closed) else after
        for lesion, after, stay in zip(lesions, dealt, stays)
    ]
    how = {}
    for source in dict.fromkeys(lesion.source for lesion in lesions):
        own = [stay for lesion, stay in zip(lesions, stays) if lesion.source == source]
        names = " and ".join(sorted(name for kept_source, name in keep if kept_source == source))
        partly = f"{fractions} ({names} kept whole)" if any(own) else fractions
        how[source] = "official" if all(own) else partly
    return rows, how


def _without(text: str, closed: Collection[str]) -> Fractions:
    """The fractions without some splits, which share out what those would have got."""
    shares = parse_fractions(text).by_split()
    total = sum(share for name, share in shares.items() if name not in closed)
    if total <= 0:
        raise MelanomaError(
            f"expected a share for a split that is not kept; {text} gives all to "
            + " and ".join(sorted(closed))
        )
    return Fractions(
        **{name: 0.0 if name in closed else share / total for name, share in shares.items()}
    )


def _order(row: Row) -> tuple[int, bytes]:
    # A hash of the name alone: the order is as good as shuffled, and the same on every machine,
    # with any number of workers, and whatever other rows there are.
    name = f"{row.lesion.source}\0{row.lesion.key}".encode()
    return SPLITS.index(row.lesion.split), hashlib.sha256(name).digest()


def _refuse_repeated(lesions: Iterable[Lesion]) -> None:
    seen: set[tuple[str, str]] = set()
    for lesion in lesions:
        name = (lesion.source, lesion.key)
        if name in seen:
            raise MelanomaError(f"expected each image once; {lesion.source} has {lesion.key} twice")
        seen.add(name)


def _missing(listings: Iterable[Listing]) -> dict[str, dict[str, Any]]:
    missing: dict[str, list[str]] = {}
    for listing in listings:
        if listing.missing:
            missing.setdefault(listing.name, []).extend(listing.missing)
    return {
        name: {"count": len(keys), "first": keys[:_NAMED_MISSING]} for name, keys in missing.items()
    }


def _unmapped(listings: Iterable[Listing], taxonomy: Taxonomy) -> dict[str, dict[str, int]]:
    unmapped: dict[str, Counter[str]] = {}
    for listing in listings:
        for lesion in listing.lesions:
            if taxonomy.label(lesion.diagnosis) is None:
                unmapped.setdefault(listing.name, Counter())[lesion.diagnosis] += 1
    return {name: dict(sorted(counter.items())) for name, counter in unmapped.items()}
