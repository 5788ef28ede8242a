"""Runs on folds: whose images a run held out, and which runs may be scored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.classification.folds import DIVIDED, FoldedRecordSet, FoldSettings, divide_by_folds
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.records.record_set import RecordSet

# In a run's config.json: its `FoldSettings`, and the fingerprint of the division.
SETTINGS, ASSIGNMENT = "cross_validation", "fold_assignment"


def training_view(
    records: RecordSet, settings: FoldSettings, log: Callable[[str], None]
) -> RecordSet:
    """The folders to train on: as they are, or with a fold held out for validation."""
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


def fold_config(records: RecordSet) -> dict[str, str]:
    """What `config.json` says of the division, so that no other is taken for it."""
    return {ASSIGNMENT: records.fingerprint} if isinstance(records, FoldedRecordSet) else {}


def folds_of(config: dict[str, Any], split: str) -> FoldSettings | None:
    """The folds of a run, where they decide what the split is."""
    settings = FoldSettings(**config.get(SETTINGS, {}))
    return settings if settings.folds and split in DIVIDED else None


def as_divided(records: RecordSet, config: dict[str, Any], run_dir: Path, split: str) -> RecordSet:
    """Record folders as a run on a fold saw them, for a split.

    Raises:
        MelanomaError: they are others than the run was trained on.
    """
    settings = folds_of(config, split)
    if settings is None:
        return records
    view = divide_by_folds(records, settings)
    if view.fingerprint != config[ASSIGNMENT]:
        trained = [
            config["records"],
            *(row["records"] for row in config.get("further_records", ())),
        ]
        raise MelanomaError(
            f"{run_dir} holds out fold {settings.fold} of {', '.join(trained)}; expected these "
            f"records for split {split}, or --split test of others; found {records}"
        )
    return view


def refuse_mixed_folds(
    run_dirs: Sequence[Path], configs: Sequence[dict[str, Any]], split: str, how: str
) -> None:
    """See that no run is scored on images that it was trained on.

    Raises:
        MelanomaError: runs that hold out different images are to be averaged over them; or
            held-out parts are to be put together that are not those of one whole division.
    """
    divisions = [_division(config) for config in configs]
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


def _division(config: dict[str, Any]) -> tuple[FoldSettings, Any]:
    return FoldSettings(**config.get(SETTINGS, {})), config.get(ASSIGNMENT)


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
        same = (settings.folds, settings.seed, other) == (first.folds, first.seed, assignment)
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
