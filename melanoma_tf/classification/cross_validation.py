"""Runs on folds: images that a run held out, and runs that may be scored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.classification.folds import DIVIDED, FoldedRecordSet, divide_by_folds
from melanoma_tf.classification.settings import ClassifierSettings, FoldSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.run_record import RunRecord

# Key of the fingerprint of the division in the details of a run's record.
ASSIGNMENT = "fold_assignment"

ClassifierRecord = RunRecord[ClassifierSettings]


def training_view(
    records: RecordSet, settings: FoldSettings, log: Callable[[str], None]
) -> RecordSet:
    """Return the folders to train on: as they are, or with a fold held out for validation."""
    if not settings.folds:
        return records
    view = divide_by_folds(records, settings)
    log(
        f"fold {settings.fold} of {settings.folds}: {view.count(split='train')} training and "
        f"{view.count(split='validation', origin='real')} validation images"
    )
    if view.count(origin="generated"):
        log(
            "warning: generated images are trained on in every fold; a generator that saw the "
            "images held out here makes validation scores look better than they are"
        )
    return view


def fold_details(records: RecordSet) -> dict[str, str]:
    """Return what the record of a run says of the division, so that no other is taken for it."""
    return {ASSIGNMENT: records.fingerprint} if isinstance(records, FoldedRecordSet) else {}


def folds_of(record: ClassifierRecord, split: str) -> FoldSettings | None:
    """Return the folds of a run, where they decide what the split is."""
    settings = record.settings.cross_validation
    return settings if settings.folds and split in DIVIDED else None


def records_for(
    records: RecordsLike, record: ClassifierRecord, split: str, *, name: str
) -> RecordSet:
    """Read record folders that a run may be applied to.

    Args:
        records: the folders.
        record: of the run.
        split: to be used.
        name: of the run or model, for messages.

    Raises:
        MelanomaError: a folder is unfinished or has other classes than the run, or an image stands
            in two folders.
    """
    records = RecordSet.read(records)
    if records.class_names != record.class_names:
        raise MelanomaError(
            f"{name} was trained on the classes {', '.join(record.class_names)}; "
            f"{records} has {', '.join(records.class_names)}"
        )
    records.refuse_repeated(DIVIDED if folds_of(record, split) else [split])
    return records


def as_divided(records: RecordSet, record: ClassifierRecord, split: str, *, name: str) -> RecordSet:
    """Return record folders as a run on a fold saw them; arguments as `records_for`.

    Raises:
        MelanomaError: they are others than the run was trained on.
    """
    settings = folds_of(record, split)
    if settings is None:
        return records
    view = divide_by_folds(records, settings)
    if view.fingerprint != record.details.get(ASSIGNMENT):
        raise MelanomaError(
            f"{name} holds out fold {settings.fold} of "
            f"{', '.join(map(str, record.record_paths()))}; expected these records for split "
            f"{split}, or --split test of others; found {records}"
        )
    return view


def refuse_mixed_folds(
    run_dirs: Sequence[Path], records: Sequence[ClassifierRecord], split: str, how: str
) -> None:
    """Refuse to score a run on images that it was trained on.

    Raises:
        MelanomaError: runs that hold out different images are to be averaged over them; or
            held-out parts are to be put together that are not those of one whole division.
    """
    divisions = [_division(record) for record in records]
    if how == "folds":
        _require_whole_division(run_dirs, divisions, split)
        return
    if split not in DIVIDED:
        return
    for run_dir, division in zip(run_dirs, divisions):
        if division != divisions[0]:
            raise MelanomaError(
                f"{run_dirs[0]} and {run_dir} hold out different images: each was trained on what "
                "the other holds out; expected --split test, or all folds with --combine folds"
            )


def _division(record: ClassifierRecord) -> tuple[FoldSettings, Any]:
    return record.settings.cross_validation, record.details.get(ASSIGNMENT)


def _require_whole_division(
    run_dirs: Sequence[Path], divisions: Sequence[tuple[FoldSettings, Any]], split: str
) -> None:
    if split != "validation":
        raise MelanomaError(
            "--combine folds puts together what each run holds out: expected --split validation; "
            f"found {split}"
        )
    (first, assignment), found = divisions[0], []
    for run_dir, (settings, other) in zip(run_dirs, divisions):
        same = (settings.folds, settings.fold_seed, other) == (
            first.folds,
            first.fold_seed,
            assignment,
        )
        if not settings.folds or not same:
            raise MelanomaError(
                f"--combine folds expected runs on the folds of one division; {run_dir} is none "
                f"of those of {run_dirs[0]}"
                if settings.folds
                else f"--combine folds expected runs on folds; {run_dir} was trained without"
            )
        found.append(settings.fold)
    if sorted(found) != list(range(first.folds)):
        raise MelanomaError(
            f"--combine folds expected one run on each of the folds 0 to {first.folds - 1}; "
            f"found {', '.join(map(str, sorted(found)))}"
        )
