"""Score classifier runs, one or an ensemble, on record folders; and calibrate one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibrate import FILE, calibrate, reliability
from melanoma_tf.classification.cross_validation import (
    as_divided,
    folds_of,
    records_for,
    refuse_mixed_folds,
)
from melanoma_tf.classification.ensemble import (
    Member,
    applies_calibration,
    inputs_of,
    member_scale,
    prevalence_of,
    read_members,
    refuse_repeated,
)
from melanoma_tf.classification.evaluation_settings import (
    CalibrationSettings,
    EvaluationSettings,
    InferenceSettings,
)
from melanoma_tf.classification.operating_points import (
    Thresholds,
    in_sample_points,
    read_thresholds,
    thresholds_of,
    transferred_points,
)
from melanoma_tf.classification.predict_views import (
    ViewLogits,
    by_lesion,
    images_sha256,
    view_logits,
)
from melanoma_tf.classification.report import alone_in, refuse_existing_report, write_report
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_names, write_checked_json
from melanoma_tf.core.outputs import refuse_existing_file
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.evaluation.combine import combine
from melanoma_tf.evaluation.predictions import Predictions, write_predictions
from melanoma_tf.evaluation.score import LabelledPredictions, align_with_truth, score_predictions
from melanoma_tf.evaluation.submissions import (
    FORMATS,
    submission_columns,
    write_submission,
)
from melanoma_tf.evaluation.temperature import probabilities
from melanoma_tf.pretrained import classifier_run, is_shipped
from melanoma_tf.records.manifest import shard_paths
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.run_record import read_run

SUBMISSION = "submission.csv"
Progress = Callable[[Iterator[Any]], Iterator[Any]]


def evaluate_classifier(
    run_dirs: Path | Sequence[Path],
    records: RecordsLike,
    settings: EvaluationSettings | None = None,
    *,
    output: Path | None = None,
    overwrite: bool = False,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Score finished runs, as one classifier, on a split of record folders.

    Writes `predictions.csv` (probabilities, or ranks), `metrics.json`, `report.html` and, for a
    challenge, `submission.csv` into `output`, and TensorBoard's view of them below its `logs/`.

    Args:
        run_dirs: a finished classifier run or `shipped`, or several of the same classes.
        records: a record folder of their classes, or several that hold each image once.
        settings: see `EvaluationSettings`.
        output: folder for the files; of a single run, its own folder by default.
        overwrite: replace files that are there.
        progress: receives blocks of bootstrap rounds and yields them again (a progress bar).

    Returns:
        The content of `metrics.json`, see `docs/evaluation.md`.

    Raises:
        MelanomaError: unfinished runs or records, other classes, an empty split, an image in two
            folders, existing files, no `output` for several runs, or runs that were trained on
            images that others hold out.

    Example:
        >>> import melanoma_tf as mt
        >>> mt.evaluate_classifier("runs/first", "tfrecords/phantoms")["n"]
        12
    """
    settings = settings or EvaluationSettings()
    run_dirs = _folders(run_dirs)
    output = _output(run_dirs, output)
    _refuse_existing(output, settings, overwrite)
    members = _members(run_dirs, settings)
    records = _records(records, members, settings)
    refuse_inputs(output, records.folders)
    seen = [_seen(member, records, settings) for member in members]
    apply = applies_calibration(members, settings.calibrated)
    predictions = _combined(members, seen, settings, apply)
    labelled = align_with_truth(predictions)
    description = _description(members, records, settings, seen, apply)
    metrics = {
        **description,
        **_scored(labelled, settings, progress),
        "calibration": _calibration(members, seen, settings, apply),
        "operating_points": _operating_points(members, labelled, settings, description),
    }
    with alone_in(output):
        _refuse_existing(output, settings, overwrite)  # Again: another one may have ended.
        _write(output, predictions, metrics, settings.format, seen)
        write_report(output, run_dirs, records, predictions, metrics, overwrite=overwrite)
    return metrics


def _write(
    output: Path,
    predictions: Predictions,
    metrics: dict[str, Any],
    format: str | None,
    seen: Sequence[ViewLogits],
) -> None:
    write_predictions(output / "predictions.csv", predictions)
    write_checked_json(output / "metrics.json", metrics)
    if format and FORMATS[format].key == "lesion_id":
        predictions = by_lesion(predictions, seen)
    if format:
        write_submission(output / SUBMISSION, predictions, format)


def _refuse_existing(output: Path, settings: EvaluationSettings, overwrite: bool) -> None:
    names = ("predictions.csv", "metrics.json", *((SUBMISSION,) if settings.format else ()))
    for name in names:
        refuse_existing_file(output / name, overwrite)
    refuse_existing_report(output, settings.split, overwrite)


def calibrate_classifier(
    run_dir: Path,
    records: RecordsLike,
    settings: CalibrationSettings | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fit a finished run's calibration and thresholds, see `classification.calibrate.calibrate`.

    Raises:
        MelanomaError: as `evaluate_classifier`.
    """
    settings = settings or CalibrationSettings()
    if is_shipped(classifier_run(run_dir)):
        raise MelanomaError(
            "expected a run of your own; found the classifier that ships, which is calibrated "
            f"already: copy {classifier_run(run_dir)} and calibrate the copy"
        )
    record = read_run(run_dir, CLASSIFIER)
    member = Member(run_dir, record, inputs_of(record, settings), None)
    records = _records(records, [member], settings)
    return calibrate(
        run_dir,
        as_divided(records, record, settings.split, name=str(run_dir)),
        member.inputs,
        split=settings.split,
        views=settings.tta,
        method=settings.method,
        overwrite=overwrite,
    )


def _folders(run_dirs: Path | Sequence[Path]) -> list[Path]:
    given = [run_dirs] if isinstance(run_dirs, (str, Path)) else run_dirs
    return [classifier_run(run_dir) for run_dir in given]


def _output(run_dirs: Sequence[Path], output: Path | None) -> Path:
    refuse_repeated(run_dirs)
    if output is None and len(run_dirs) > 1:
        raise MelanomaError(
            f"expected --output with {len(run_dirs)} runs: their scores belong into no run's folder"
        )
    if output is None and is_shipped(run_dirs[0]):
        raise MelanomaError("expected --output with the classifier that ships; found none")
    return Path(run_dirs[0]) if output is None else output


def _members(run_dirs: Sequence[Path], settings: EvaluationSettings) -> list[Member]:
    members = read_members(run_dirs, settings)
    folds = [member.record for member in members]
    refuse_mixed_folds(run_dirs, folds, settings.split, settings.combine)
    prevalence_of(members, settings.prevalence)  # before the work, not after it
    if settings.format:
        submission_columns(members[0].record.class_names, settings.format)
    return members


def _records(
    records: RecordsLike, members: Sequence[Member], settings: InferenceSettings
) -> RecordSet:
    first, split = members[0], settings.split
    records = records_for(records, first.record, split, name=str(first.run_dir))
    if folds_of(first.record, split) is None:
        for folder, manifest in zip(records.folders, records.manifests):
            shard_paths(folder, manifest, split)  # One that adds nothing is a mistake.
    return records


def _seen(member: Member, records: RecordSet, settings: EvaluationSettings) -> ViewLogits:
    name = str(member.run_dir)
    own = as_divided(records, member.record, settings.split, name=name)
    batches = pipeline.evaluation_batches(own, settings.split, member.inputs)
    with own.damage_named():
        return view_logits(load_classifier(member.run_dir), batches, settings.tta)


def _combined(
    members: Sequence[Member], seen: Sequence[ViewLogits], settings: EvaluationSettings, apply: bool
) -> Predictions:
    counted = _counted(seen, settings.combine)
    prevalence = prevalence_of(members, settings.prevalence)
    keys = [key for one in counted for key in one.keys]
    # Two sources may hold an image of the same name, and name two patients alike.
    with_source = len(set(keys)) < len(keys)
    with_namespace = len(set().union(*(one.namespaces() for one in counted))) > 1
    parts = [
        one.as_predictions(
            probabilities(one.logits, member_scale(member, apply, prevalence)),
            member.record.class_names,
            with_source=with_source,
            with_namespace=with_namespace,
        )
        for member, one in zip(members, seen)
    ]
    return combine(parts, settings.combine)


def _counted(seen: Sequence[ViewLogits], how: str) -> Sequence[ViewLogits]:
    """The members whose images, together, are those scored: all have the same but for folds."""
    return seen if how == "folds" else seen[:1]


def _scored(
    labelled: LabelledPredictions,
    settings: EvaluationSettings,
    progress: Progress,
) -> dict[str, Any]:
    result = score_predictions(
        labelled, rounds=settings.rounds, seed=settings.seed, progress=progress
    )
    if settings.combine != "ranks":
        return result
    # The ranks of two classes add up to 1, and would pass for probabilities.
    result["are_probabilities"] = False
    for metric in ("expected_calibration_error", "brier_score"):
        result[metric] = None
        result["undefined"][metric] = "the scores are ranks, no probabilities"
        if "interval" in result:
            result["interval"][metric] = None
    return result


def _description(
    members: Sequence[Member],
    records: RecordSet,
    settings: EvaluationSettings,
    seen: Sequence[ViewLogits],
    apply: bool,
) -> dict[str, Any]:
    """Describe the scored images and runs, for `metrics.json`."""
    prevalence = prevalence_of(members, settings.prevalence)
    runs = [
        {
            "run_dir": name,
            "purify": member.inputs.test_purification,
            **_scale_json(member, apply, prevalence),
        }
        for name, member in zip(public_names([each.run_dir for each in members]), members)
    ]
    methods = sorted({str(run["purify"]) for run in runs})
    return {
        "split": settings.split,
        "records": public_names(records.folders),
        "runs": runs,
        "combine": settings.combine,
        "scores": "ranks" if settings.combine == "ranks" else "probabilities",
        "tta": settings.tta,
        "purify": methods[0] if len(methods) == 1 else "mixed",
        "calibrated": apply,
        "prevalence": prevalence,
        "classes": list(records.class_names),
        "images_sha256": images_sha256(
            [name for one in _counted(seen, settings.combine) for name in one.names()]
        ),
        "settings": settings.to_public_json(),
    }


def _scale_json(member: Member, apply: bool, prevalence: dict[str, float] | None) -> dict[str, Any]:
    scale = member_scale(member, apply, prevalence)
    biases = dict(zip(member.record.class_names, scale.biases)) or None
    return {"temperature": scale.temperature, "biases": biases}


def _calibration(
    members: Sequence[Member], seen: Sequence[ViewLogits], settings: EvaluationSettings, apply: bool
) -> dict[str, Any] | None:
    """Calibration metrics with and without calibration; None for ranks."""
    if settings.combine == "ranks":
        return None
    found: dict[str, Any] = {"applied": apply, "raw": None, "calibrated": None}
    names = members[0].record.class_names
    for name, calibrated in (("raw", False), ("calibrated", True)):
        if calibrated and any(member.calibration is None for member in members):
            continue
        predictions = _combined(members, seen, settings, calibrated)
        assert predictions.labels is not None  # Records always have them.
        found[name] = reliability(predictions.scores, predictions.labels, names)
    return found


def _operating_points(
    members: Sequence[Member],
    labelled: LabelledPredictions,
    settings: EvaluationSettings,
    description: dict[str, Any],
) -> dict[str, Any]:
    return {
        "chosen_on_this_set": in_sample_points(labelled, settings.rounds, settings.seed),
        **_carried(members, labelled, settings, description),
    }


def _carried(
    members: Sequence[Member],
    labelled: LabelledPredictions,
    settings: EvaluationSettings,
    description: dict[str, Any],
) -> dict[str, Any]:
    """Operating points of thresholds that were chosen on other images; None without them."""
    source: Thresholds | None = None
    if settings.operating_points is not None:
        source = read_thresholds(Path(settings.operating_points), description)
    elif len(members) == 1 and settings.combine == "mean" and members[0].calibration is not None:
        source = thresholds_of(
            members[0].run_dir / FILE, members[0].calibration, description["calibrated"]
        )
    return transferred_points(source, labelled, description, settings.rounds, settings.seed)
