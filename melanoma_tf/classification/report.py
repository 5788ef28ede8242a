"""The report on an evaluated run, from its folder and its records."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from melanoma_tf import __version__
from melanoma_tf.classification.cross_validation import ClassifierRecord
from melanoma_tf.classification.report_mistakes import find_mistakes
from melanoma_tf.classification.report_stages import growth_stages
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_name, public_names, read_checked_json, write_atomically
from melanoma_tf.core.locks import locked
from melanoma_tf.core.outputs import refuse_existing, refuse_existing_file
from melanoma_tf.evaluation.event_log import log_folder, write_evaluation_log
from melanoma_tf.evaluation.metrics.scores import task_scores
from melanoma_tf.evaluation.predictions import Predictions, read_predictions
from melanoma_tf.evaluation.report.charts import charts
from melanoma_tf.evaluation.report.content import DataFolder, ReportContent, TrainedRun
from melanoma_tf.evaluation.report.render import render_report
from melanoma_tf.evaluation.score import align_with_truth, prepared
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.run import read_history
from melanoma_tf.training.run_record import read_run

REPORT, PREDICTIONS, METRICS = "report.html", "predictions.csv", "metrics.json"

# Keys of metrics.json that a report needs.
_NEEDED = {"split", "records", "runs", "classes", "auc", "operating_points"}

RunFolders = Union[Path, Sequence[Path]]


def write_report(
    output: Path,
    run_dirs: RunFolders,
    records: RecordsLike,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    *,
    moved: Sequence[Path] = (),
    examples: int = 6,
    overwrite: bool = False,
) -> Path:
    """Write `report.html` and TensorBoard's log of an evaluation.

    The report names what is missing (the training records, a history, patients). The log, in
    `logs/evaluation-SPLIT`, replaces that of an earlier evaluation.

    Args:
        output: the folder of `predictions.csv`, where the report appears.
        run_dirs: the finished classifier run, or the members of an ensemble.
        records: the record folders that were evaluated.
        predictions: with labels.
        metrics: the content of `metrics.json`.
        moved: current places of record folders that were moved.
        examples: pictures of errors of each kind; 0 leaves pictures out.
        overwrite: replace an existing report and log.

    Returns:
        The report's path.

    Raises:
        MelanomaError: an existing report or log, an unfinished run, predictions without labels.
    """
    folders, evaluated = _paths(run_dirs), _record_paths(records)
    refuse_existing_report(output, metrics["split"], overwrite)
    content = _gathered(output, folders, evaluated, predictions, metrics, moved, examples)
    drawn = list(charts(content))
    write_evaluation_log(log_folder(output, content.split), content, drawn)
    path = output / REPORT
    write_atomically(path, render_report(content, drawn))
    return path


def report_run(
    run_dirs: RunFolders,
    *,
    output: Path | None = None,
    moved: Sequence[Path] = (),
    examples: int = 6,
    overwrite: bool = False,
) -> Path:
    """Write the report again, from the files of `evaluate`.

    Args:
        run_dirs: the run, or the members of an ensemble.
        output: the folder of `predictions.csv` and `metrics.json`; the first run by default.
        moved: current places of record folders that were moved.
        examples: pictures of errors of each kind; 0 leaves pictures out.
        overwrite: replace an existing report.

    Returns:
        The report's path.

    Raises:
        MelanomaError: the run has not finished or was not evaluated; the predictions are of other
            classes, or not those of the metrics; a folder in `moved` holds no records; a report
            exists.
    """
    folders = _paths(run_dirs)
    output = output or folders[0]
    trained = read_run(folders[0], CLASSIFIER)
    class_names = trained.class_names
    for name in (PREDICTIONS, METRICS):
        if not (output / name).is_file():
            raise MelanomaError(f"{output}: expected {name}, found none; run evaluate first")
    for path in moved:
        read_manifest(
            path
        )  # Else a folder without records would go unnoticed where it is not needed.
    metrics = read_checked_json(output / METRICS)
    if not isinstance(metrics, dict) or not set(metrics) >= _NEEDED:
        raise MelanomaError(
            f"{output / METRICS}: expected what evaluate writes; found other JSON, or an older "
            "one: run evaluate again"
        )
    predictions = read_predictions(output / PREDICTIONS, class_names)
    _check_same(predictions, metrics, output / METRICS)
    if len(metrics["runs"]) != len(folders):
        raise MelanomaError(
            f"{output / METRICS}: expected its {len(metrics['runs'])} run(s); found "
            f"{len(folders)} --run-dir"
        )
    with alone_in(output):
        return write_report(
            output,
            folders,
            _places(metrics["records"], trained),
            predictions,
            metrics,
            moved=moved,
            examples=examples,
            overwrite=overwrite,
        )


@contextlib.contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Hold the lock of a folder's evaluation, whose files are written one after the other."""
    # In the logs, where a marker lets the tool add files: a killed process leaves its lock.
    place = log_folder(output, "").parent / "evaluation"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place):
        yield


def refuse_existing_report(output: Path, split: str, overwrite: bool) -> None:
    """Raise `MelanomaError` where a report, or the log of this split, exists."""
    refuse_existing_file(output / REPORT, overwrite)
    refuse_existing(log_folder(output, split), overwrite)


def _gathered(
    output: Path,
    folders: Sequence[Path],
    evaluated: Sequence[Path],
    predictions: Predictions,
    metrics: Mapping[str, Any],
    moved: Sequence[Path],
    examples: int,
) -> ReportContent:
    trained = [read_run(folder, CLASSIFIER) for folder in folders]
    names = [str(each) for each in evaluated]
    data = tuple(_data_folders(trained, names, metrics["split"], moved))
    # Only the evaluated folders hold the images of the predictions.
    records = [
        each.place for each in data if each.manifest is not None and "evaluation" in each.use
    ]
    mistakes, note = find_mistakes(predictions, folders, records, metrics, examples)
    of_first = [each for each in data if each.path in _trained_on(trained[0])]
    return ReportContent(
        split=metrics["split"],
        predictions=predictions,
        # An earlier version wrote whole paths.
        scores={**metrics, "records": public_names(metrics["records"])},
        runs=tuple(_run(*each) for each in zip(folders, trained)),
        folders=data,
        stages=growth_stages(trained[0], of_first),
        mistakes=mistakes,
        mistakes_note=note,
        digest=hashlib.sha256((output / PREDICTIONS).read_bytes()).hexdigest(),
        version=__version__,
    )


def _paths(given: Path | str | Sequence[Path | str]) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(each) for each in given]


def _places(names: Sequence[str], record: ClassifierRecord) -> list[Path]:
    """Where evaluated record folders may be, of which `metrics.json` has the names only.

    Those of the training are where it says; others are looked for next to them, and below the
    working folder.
    """
    trained = dict(zip(record.record_names(), record.record_paths()))
    near = [path.parent for path in trained.values()]
    found = []
    for name in names:
        places = [trained.get(name, Path(name)), Path(name), *(folder / name for folder in near)]
        found.append(next((place for place in places if place.is_dir()), places[0]))
    return found


def _record_paths(records: RecordsLike) -> list[Path]:
    return list(records.folders) if isinstance(records, RecordSet) else _paths(records)


def _run(folder: Path, record: ClassifierRecord) -> TrainedRun:
    config = {
        "kind": record.kind,
        **record.settings.to_public_json(),
        **record.details,
        "records": record.record_names(),
        "taxonomy": record.taxonomy,
        "class_names": list(record.class_names),
        "versions": record.versions,
    }
    return TrainedRun(folder.resolve().name, config, read_history(folder))


def _check_same(predictions: Predictions, metrics: Mapping[str, Any], path: Path) -> None:
    """Raise `MelanomaError` where `metrics.json` belongs to other predictions."""
    found = task_scores(
        prepared(align_with_truth(predictions)), np.ones(len(predictions.image_ids))
    )
    for name, area in found["auc"].items():
        stored = metrics["auc"].get(name)
        if (area is None) != (stored is None) or (area is not None and abs(area - stored) > 1e-9):
            raise MelanomaError(
                f"{path}: expected the scores of {PREDICTIONS}; the AUC of {name} is "
                f"{stored} here and {area} there"
            )


def _data_folders(
    runs: Sequence[ClassifierRecord], evaluated: Sequence[str], split: str, moved: Sequence[Path]
) -> Iterator[DataFolder]:
    """Yield the folders of the training, then those that were only evaluated."""
    shards = {name: sums for run in runs for name, sums in _trained_on(run).items()}
    for name, checksums in shards.items():
        use = "training and evaluation" if name in evaluated else "training"

        def same(manifest: Manifest, checksums: dict[str, str] = checksums) -> bool:
            return {shard.name: shard.sha256 for shard in manifest.shards} == checksums

        yield _located(name, use, same, moved)
    for name in evaluated:
        if name not in shards:
            yield _located(name, "evaluation", lambda records: split in records.splits(), moved)


def _trained_on(run: ClassifierRecord) -> dict[str, dict[str, str]]:
    """The record folders of a training, each with its shards' checksums."""
    return {each.path: dict(each.shards) for each in run.records}


def _located(
    name: str, use: str, is_it: Callable[[Manifest], bool], moved: Sequence[Path]
) -> DataFolder:
    """Find a folder under its own name, else among the moved ones."""
    problem = f"{public_name(name)} is missing"
    for path in (Path(name), *moved):
        try:
            manifest = read_manifest(path)
        except MelanomaError as error:
            if path.exists():
                problem = str(error).replace(str(path), public_name(path))
            continue
        if is_it(manifest):
            return DataFolder(name, path, use, manifest)
        if path == Path(name):
            problem = f"{public_name(name)} has changed since"
    return DataFolder(name, Path(name), use, None, problem)
