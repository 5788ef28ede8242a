"""Labels, splits and order of the records."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import SPLITS, Lesion, Listing, Taxonomy
from melanoma_tf.datasets.splits import Fractions, assign_splits, group_lesions, parse_fractions

# `--split auto` divides a source without held-out parts by these.
DEFAULT_FRACTIONS = "0.7/0.15/0.15"
_NAMED_MISSING = 5


@dataclass(frozen=True)
class Row:
    """One record to come: the image and its class index."""

    lesion: Lesion
    label: int


@dataclass(frozen=True)
class SplitPolicy:
    """Assignment of splits to rows.

    Attributes:
        split: `auto`, `official` or fractions such as `0.7/0.15/0.15`.
        seed: seed of the division by fractions.
        keep: (source, split) pairs that stay whole under any `split`.
    """

    split: str = "auto"
    seed: int = 0
    keep: frozenset[tuple[str, str]] = frozenset()

    def fractions(self) -> str:
        """Return the fractions that divide what keeps no official split."""
        return DEFAULT_FRACTIONS if self.split in ("auto", "official") else self.split

    def kept_splits(self) -> frozenset[str]:
        """Return the splits that stay whole, which no other row may enter."""
        return frozenset(split for _, split in self.keep)


@dataclass(frozen=True)
class LabelledRows:
    """The rows of some listings that have a class in a taxonomy, in their official splits.

    Attributes:
        rows: rows of all sources.
        keeps_split: per row whether it keeps its official split rather than being assigned one.
        findings: the first five of `Plan`.
    """

    rows: tuple[Row, ...]
    keeps_split: tuple[bool, ...]
    findings: dict[str, Any]

    def lesions(self) -> list[Lesion]:
        """List the rows' lesions."""
        return [row.lesion for row in self.rows]

    def fingerprint(self) -> str:
        """Hash all rows; folders do not count, so that a data set may move."""
        digest = hashlib.sha256()
        for row in self.rows:
            values = {**vars(row.lesion), "label": row.label}
            for name in ("image_path", "mask_path"):
                values[name] = values[name] and values[name].name
            digest.update(repr(sorted(values.items())).encode())
        return digest.hexdigest()

    def without(self, names: Collection[str]) -> LabelledRows:
        """Copy the rows without those of some names `source/key`."""
        kept = [
            (row, keeps)
            for row, keeps in zip(self.rows, self.keeps_split)
            if row.lesion.name not in names
        ]
        return dataclasses.replace(
            self, rows=tuple(row for row, _ in kept), keeps_split=tuple(keeps for _, keeps in kept)
        )


@dataclass(frozen=True)
class Plan:
    """The rows of a build.

    Attributes:
        rows: in writing order.
        findings: JSON values for the manifest, each by source: `missing` (rows without an image
            file), `unlabelled` (images without a row), `passed_over` (other files), `image_types`
            (images by type), `unmapped` (diagnoses without a class), `split` (how the source was
            split) and `held_out_elsewhere` (rows left out since a held-out set contains their
            group).
    """

    rows: tuple[Row, ...]
    findings: dict[str, Any]

    def expected(self) -> dict[str, int]:
        """Count the rows per split."""
        return dict(Counter(row.lesion.split for row in self.rows))


def label_rows(
    listings: Sequence[Listing], taxonomy: Taxonomy, policy: SplitPolicy
) -> LabelledRows:
    """Label the rows of some listings.

    Args:
        listings: two may share a name (two folders of one source).
        taxonomy: rows whose diagnosis has no class in it are left out and counted.
        policy: decides which rows keep their official splits.

    Raises:
        MelanomaError: no row is left, a source names an image twice, or a split to keep is empty.
    """
    rows = [
        Row(lesion, label)
        for listing in listings
        for lesion in listing.lesions
        if (label := taxonomy.label(lesion.diagnosis)) is not None
    ]
    if not rows:
        raise _nothing_to_build(listings, taxonomy)
    lesions = [row.lesion for row in rows]
    _refuse_repeated(lesions)
    findings = {
        "missing": _named_keys(listings, lambda listing: listing.missing),
        "unlabelled": _named_keys(listings, lambda listing: listing.unlabelled),
        "passed_over": _passed_over(listings),
        "image_types": _image_types(listings),
        "unmapped": _unmapped(listings, taxonomy),
    }
    return LabelledRows(tuple(rows), keeps_official_split(lesions, policy), findings)


def check_fractions(policy: SplitPolicy) -> None:
    """Raise `MelanomaError` where the fractions are no three, or give all to a kept split."""
    _without(policy.fractions(), policy.kept_splits())


def make_plan(
    labelled: LabelledRows,
    policy: SplitPolicy,
    links: Iterable[tuple[str, str]] = (),
    others: Sequence[Lesion] = (),
) -> Plan:
    """Split and order labelled rows.

    Args:
        labelled: rows of all sources.
        policy: how they get their splits.
        links: pairs of keys or names known to show the same picture, to share a split.
        others: images of other record folders: rows of their patients and lesions get their split,
            and those that keep another one are left out.
    """
    groups = group_lesions([*labelled.lesions(), *others], links)
    fixed: dict[str, str] = {}
    for lesion, group in zip(others, groups[len(labelled.rows) :]):
        fixed[group] = max(fixed.get(group, "train"), lesion.split, key=SPLITS.index)
    divided = _divided(labelled, groups[: len(labelled.rows)], policy, fixed)
    rows = [
        Row(lesion, row.label) for lesion, row in zip(divided, labelled.rows) if lesion is not None
    ]
    rows.sort(key=lambda row: (SPLITS.index(row.lesion.split), order_of(row)))
    left_out = Counter(
        row.lesion.source for row, lesion in zip(labelled.rows, divided) if lesion is None
    )
    findings = {
        **labelled.findings,
        "split": _split_methods(labelled, policy),
        "held_out_elsewhere": dict(sorted(left_out.items())),
    }
    return Plan(tuple(rows), findings)


def parse_kept(texts: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Read `test=isic2017`, the form of `--keep-split`, into (source, split) pairs.

    Raises:
        MelanomaError: another form, or the split is not a held-out one.
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


def keeps_official_split(lesions: Sequence[Lesion], policy: SplitPolicy) -> tuple[bool, ...]:
    """Decide per row whether it keeps its official split rather than being assigned one.

    With `auto`, the rows of a source that has a held-out part do.

    Raises:
        MelanomaError: a split to keep has no row.
    """
    present = {(lesion.source, lesion.split) for lesion in lesions}
    for source, name in sorted(policy.keep - present):
        raise MelanomaError(f"expected {source} to have {name} images to keep; found none")
    if policy.split == "official":
        return (True,) * len(lesions)
    held_out = {source for source, name in present if name != "train"}
    official = held_out if policy.split == "auto" else set()
    return tuple(
        lesion.source in official or (lesion.source, lesion.split) in policy.keep
        for lesion in lesions
    )


def _divided(
    labelled: LabelledRows, groups: Sequence[str], policy: SplitPolicy, fixed: Mapping[str, str]
) -> list[Lesion | None]:
    """Assign every row a split, so that no group is in two.

    If official splits separate a group (an ISIC 2017 test image is among the ISIC 2018 training
    images), the most held-out one keeps it and the other rows are left out (None), so that test
    sets stay as they were published. A row without an official split follows its group.

    A split to keep contains its own images only: other rows are assigned to the other splits, and a
    row that shares a group with a kept one is left out. The split of a `fixed` group stands.
    """
    lesions, keeps_split = labelled.lesions(), labelled.keeps_split
    closed = policy.kept_splits()
    kept: dict[str, str] = {}
    for lesion, group, keeps in zip(lesions, groups, keeps_split):
        if keeps:
            kept[group] = max(kept.get(group, "train"), lesion.split, key=SPLITS.index)
    kept.update(fixed)
    fractions = _without(policy.fractions(), closed)
    assigned = assign_splits(lesions, fractions, policy.seed, groups, kept)
    return [
        None if (lesion.split != after.split if keeps else after.split in closed) else after
        for lesion, after, keeps in zip(lesions, assigned, keeps_split)
    ]


def _split_methods(labelled: LabelledRows, policy: SplitPolicy) -> dict[str, str]:
    """Describe per source how it was split: `official`, or by which fractions."""
    methods = {}
    for source in dict.fromkeys(row.lesion.source for row in labelled.rows):
        own = [
            keeps
            for row, keeps in zip(labelled.rows, labelled.keeps_split)
            if row.lesion.source == source
        ]
        names = " and ".join(sorted(split for name, split in policy.keep if name == source))
        fractions = policy.fractions()
        partly = f"{fractions} ({names} kept whole)" if any(own) else fractions
        methods[source] = "official" if all(own) else partly
    return methods


def _without(text: str, closed: Collection[str]) -> Fractions:
    """Read fractions and scale those outside the closed splits to a sum of 1."""
    fractions = parse_fractions(text).by_split()
    total = sum(fraction for name, fraction in fractions.items() if name not in closed)
    if total <= 0:
        raise MelanomaError(
            f"expected a fraction for a split that is not kept; {text} gives all to "
            + " and ".join(sorted(closed))
        )
    return Fractions(
        **{
            name: 0.0 if name in closed else fraction / total
            for name, fraction in fractions.items()
        }
    )


def order_of(row: Row) -> bytes:
    """Return the key by which the rows of a split are sorted.

    A hash of the name only: the order is pseudo-random, and independent of the machine, the number
    of workers and the other rows.
    """
    return hashlib.sha256(f"{row.lesion.source}\0{row.lesion.key}".encode()).digest()


def _refuse_repeated(lesions: Iterable[Lesion]) -> None:
    seen: set[tuple[str, str]] = set()
    for lesion in lesions:
        name = (lesion.source, lesion.key)
        if name in seen:
            raise MelanomaError(f"expected each image once; {lesion.source} has {lesion.key} twice")
        seen.add(name)


def _nothing_to_build(listings: Sequence[Listing], taxonomy: Taxonomy) -> MelanomaError:
    """The error that tells a lack of images from a lack of classes."""
    names = ", ".join(listing.name for listing in listings) or "no source"
    missing = [key for listing in listings for key in listing.missing]
    if missing and not any(listing.lesions for listing in listings):
        return MelanomaError(
            f"{names}: expected image files for {len(missing):,} rows; found none, the first "
            f"missing: {', '.join(missing[:_NAMED_MISSING])}"
        )
    return MelanomaError(f"expected images with a class of {taxonomy.name} in {names}; no row")


def _named_keys(
    listings: Iterable[Listing], keys_of: Callable[[Listing], Sequence[str]]
) -> dict[str, dict[str, Any]]:
    found: dict[str, list[str]] = {}
    for listing in listings:
        if keys := keys_of(listing):
            found.setdefault(listing.name, []).extend(keys)
    return {name: first_of(keys) for name, keys in found.items()}


def _passed_over(listings: Iterable[Listing]) -> dict[str, dict[str, dict[str, Any]]]:
    """Count the files passed over, by source and reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for listing in listings:
        for each in listing.passed_over:
            # The name only: manifests travel with the records, local folders stay private.
            reasons = found.setdefault(listing.name, {})
            reasons.setdefault(each.reason, []).append(each.name)
    return {
        name: {reason: first_of(files) for reason, files in reasons.items()}
        for name, reasons in found.items()
    }


def _image_types(listings: Iterable[Listing]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for listing in listings:
        if listing.image_types:
            found.setdefault(listing.name, Counter()).update(listing.image_types)
    return {name: dict(counter.most_common()) for name, counter in found.items()}


def first_of(names: Sequence[str]) -> dict[str, Any]:
    """Return the number of names and the first of them, as findings have it."""
    return {"count": len(names), "first": list(names[:_NAMED_MISSING])}


def _unmapped(listings: Iterable[Listing], taxonomy: Taxonomy) -> dict[str, dict[str, int]]:
    unmapped: dict[str, Counter[str]] = {}
    for listing in listings:
        for lesion in listing.lesions:
            if taxonomy.label(lesion.diagnosis) is None:
                unmapped.setdefault(listing.name, Counter())[lesion.diagnosis] += 1
    return {name: dict(sorted(counter.items())) for name, counter in unmapped.items()}
