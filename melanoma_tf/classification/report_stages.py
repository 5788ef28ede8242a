"""Stages of a run's training set: real images, purified copies, generated images, an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from melanoma_tf.classification.batches import count_by_origin
from melanoma_tf.classification.cross_validation import ClassifierRecord
from melanoma_tf.classification.expansion_plan import ORIGINS, ExpansionPlan, grow
from melanoma_tf.classification.folds import divide_by_folds
from melanoma_tf.evaluation.report.content import Counts, DataFolder, Stage
from melanoma_tf.records.record_set import RecordSet

_NAMES = {"real": "real images", "purified": "+ purified", "generated": "+ generated"}


def growth_stages(run: ClassifierRecord, folders: Sequence[DataFolder]) -> tuple[Stage, ...]:
    """The stages of Bisla et al. 2019, Figure 7, as far as the run has them.

    Args:
        run: the record of the run.
        folders: that it was trained on.

    Returns:
        Stages with each origin that the records have added in turn, then the examples of an epoch
        where they are other ones: by an expansion plan, or in balanced batches. Nothing where a
        folder cannot be read.
    """
    if not folders or any(folder.manifest is None for folder in folders):
        return ()
    batches = run.settings.batches
    counts = count_by_origin(_trained_on(run, folders), batches)
    epoch: Iterator[Stage] = iter(())
    if batches.plan is not None:
        epoch = _expanded(counts, batches.expansion, batches.plan)
    elif batches.balance == "batch":
        epoch = _balanced(counts, run.settings.batch_size, batches.generated_fraction)
    return (*_images(counts), *epoch)


def _trained_on(run: ClassifierRecord, folders: Sequence[DataFolder]) -> RecordSet:
    """The folders as the training saw them: with a fold held out, where it did."""
    records = RecordSet(
        tuple(folder.place for folder in folders),
        tuple(folder.manifest for folder in folders if folder.manifest is not None),
    )
    folds = run.settings.cross_validation
    return divide_by_folds(records, folds) if folds.folds else records


def _images(counts: Counts) -> Iterator[Stage]:
    for index, origin in enumerate(ORIGINS):
        if origin == "real" or any(row[origin] for row in counts.values()):
            kept = {
                name: {each: row[each] for each in ORIGINS[: index + 1]}
                for name, row in counts.items()
            }
            yield Stage(_NAMES[origin], "images", kept)


def _expanded(counts: Counts, name: str, plan: ExpansionPlan) -> Iterator[Stage]:
    mirrored = {
        each: {origin: count * plan.copies(each, origin) for origin, count in row.items()}
        for each, row in counts.items()
    }
    yield Stage("+ mirror images", "examples", mirrored)
    views = max(row.examples // max(row.mirrored, 1) for row in grow(counts, plan))
    seen = {
        each: {origin: count * views for origin, count in row.items()}
        for each, row in mirrored.items()
    }
    yield Stage(f"an epoch by the expansion {name}", "examples", seen)


def _balanced(counts: Counts, batch_size: int, generated_fraction: float | None) -> Iterator[Stage]:
    """An epoch of equally many examples of each class, in expectation."""
    total = sum(sum(row.values()) for row in counts.values())
    present = [name for name, row in counts.items() if sum(row.values())]
    examples = math.ceil(total / batch_size) * batch_size
    seen = {}
    for name, row in counts.items():
        seen[name] = dict.fromkeys(ORIGINS, 0)
        if name not in present:
            continue
        share = row["generated"] / sum(row.values())
        if generated_fraction is not None:
            share = min(share, generated_fraction)
        of_class = examples / len(present)
        others = sum(row.values()) - row["generated"]
        for origin in ORIGINS:
            part = share if origin == "generated" else (1 - share) * row[origin] / max(others, 1)
            seen[name][origin] = round(of_class * part)
    yield Stage("an epoch of balanced batches", "examples", seen)
