"""Cross-validation: the training and validation examples of records, divided into folds.

No record is moved. A fold is a view of record folders: the same shards, and a filter in the graph
that looks every example's name up in a table. The test split stays what it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.classification.settings import FoldSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.folds import assign_folds
from melanoma_tf.datasets.lesion import Lesion
from melanoma_tf.datasets.splits import group_lesions
from melanoma_tf.records import schema
from melanoma_tf.records.manifest import Manifest, shard_paths
from melanoma_tf.records.read import read_features
from melanoma_tf.records.record_set import RecordSet

DIVIDED = ("train", "validation")
_NAMING = ("image/key", "source", "origin", "origin/parent")
_FEATURES = (*_NAMING, "label", "lesion/id", "patient/id")
_CELL = ("split", "class_name", "source", "origin")


@dataclass(frozen=True)
class FoldedRecordSet(RecordSet):
    """Record folders of which `train` and `validation` are divided by folds.

    Attributes:
        assignment: by image, `source/key` of the original, the fold that holds it out.
        fold: the one that is `validation` here; all others are `train`.
        cells: counts by split as divided here, class, source and origin.
        fingerprint: SHA-256 of the assignment.
    """

    assignment: dict[str, int]
    fold: int
    cells: dict[tuple[str, str, str, str], int]
    fingerprint: str

    def count(self, **cell: Any) -> int:
        """As `RecordSet.count`, of the parts as they are divided here."""
        return sum(
            number
            for row, number in self.cells.items()
            if all(cell.get(name) in (None, own) for name, own in zip(_CELL, row))
        )

    def with_validation(self) -> RecordSet:
        """Return the records themselves: the held-out fold is their validation split."""
        return self

    def shard_paths(self, split: str) -> list[Path]:
        """All shards among which the examples of a part lie, see `keep`."""
        if split not in DIVIDED:
            return super().shard_paths(split)
        return divided_shards(self)

    def keep(self, split: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """See `RecordSet.keep`. A purified copy follows its original.

        Generated examples are trained on in every fold.
        """
        if split not in DIVIDED:
            return None
        held_out = [name for name, fold in self.assignment.items() if fold == self.fold]
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(held_out, tf.ones(len(held_out), tf.int64)), 0
        )

        def kept(serialized: tf.Tensor) -> tf.Tensor:
            record = schema.parse(serialized, _NAMING)
            is_copy = tf.equal(record["origin"], "purified")
            original = tf.where(is_copy, record["origin/parent"], record["image/key"])
            is_held_out = table.lookup(record["source"] + "/" + original) > 0
            is_held_out &= tf.not_equal(record["origin"], "generated")
            return is_held_out if split == "validation" else ~is_held_out

        return kept


def divide_by_folds(records: RecordSet, settings: FoldSettings) -> FoldedRecordSet:
    """Return a view of record folders with one fold held out for validation.

    Images of one patient, lesion or picture (as found when the records were built) share a fold,
    and every class is spread evenly over the folds as far as groups allow. The division depends on
    the images, the number of folds and the seed: not on which fold is held out, nor on the order
    of folders or records. The records are read once.

    Args:
        records: the folders.
        settings: at least two folds.

    Raises:
        MelanomaError: fewer groups than folds.
    """
    examples = list(_examples(records))
    rows = {lesion.name: lesion for origin, lesion in examples if origin != "generated"}
    names = sorted(rows)
    lesions = [rows[name] for name in names]
    groups = group_lesions(lesions, _same_pictures(records.manifests, rows))
    classes = [lesion.diagnosis for lesion in lesions]
    folds = assign_folds(groups, classes, settings.folds, seed=settings.fold_seed)
    assignment = dict(zip(names, folds))
    cells: Counter[tuple[str, str, str, str]] = Counter()
    for origin, lesion in examples:
        held_out = origin != "generated" and assignment[lesion.name] == settings.fold
        part = "validation" if held_out else "train"
        cells[part, lesion.diagnosis, lesion.source, origin] += 1
    for manifest in records.manifests:
        for row in manifest.counts:
            if row.split not in DIVIDED:
                cells[row.split, row.class_name, row.source, row.origin] += row.count
    digest = hashlib.sha256(repr(sorted(assignment.items())).encode()).hexdigest()
    return FoldedRecordSet(
        records.folders, records.manifests, assignment, settings.fold, cells, digest
    )


def divided_shards(records: RecordSet) -> list[Path]:
    """The shards of all folders that hold training or validation examples."""
    paths = [
        path
        for folder, manifest in zip(records.folders, records.manifests)
        for split in DIVIDED
        if split in manifest.splits()
        for path in shard_paths(folder, manifest, split)
    ]
    if not paths:
        raise MelanomaError(f"{records}: expected training or validation examples; found none")
    return paths


def _examples(records: RecordSet) -> Iterator[tuple[str, Lesion]]:
    """Origin and original of each training and validation example."""
    for row in read_features(divided_shards(records), _FEATURES):
        copied = row["origin"] == "purified"
        yield (
            row["origin"],
            Lesion(
                key=row["origin/parent"] if copied else row["image/key"],
                image_path=Path(),
                mask_path=None,
                diagnosis=records.class_names[row["label"]],
                source=row["source"],
                split="train",
                lesion_id=row["lesion/id"] or None,
                patient_id=row["patient/id"] or None,
            ),
        )


def _same_pictures(
    manifests: tuple[Manifest, ...], present: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Pairs of names `source/key` that the builds of the records found to show one picture."""
    for manifest in manifests:
        for cluster in manifest.findings.get("duplicates", {}).get("clusters", ()):
            images = [name for name in cluster["images"] if name in present]
            yield from ((images[0], other) for other in images[1:])
