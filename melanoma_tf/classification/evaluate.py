"""Score classifier runs, one or an ensemble, on record folders; and calibrate one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf import training
from melanoma_tf.backbones.classifier import KIND
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibrate import FILE, calibrate, read_calibration, reliability
from melanoma_tf.classification.cross_validation import as_divided, folds_of, refuse_mixed_folds
from melanoma_tf.classification.folds import DIVIDED
from melanoma_tf.classification.operating_points import (
    Thresholds,
    in_sample_points,
    read_thresholds,
    thresholds_of,
    transferred_points,
)
from melanoma_tf.classification.predict_views import (
    ViewLogits,
    images_sha256,
    purification,
    view_logits,
)
from melanoma_tf.classification.purified_inputs import PURIFICATIONS, purified_by
from melanoma_tf.classification.report import refuse_existing_report, write_report
from melanoma_tf.classification.train import classifier_inputs
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_json
from melanoma_tf.core.outputs import refuse_existing_file
from melanoma_tf.core.ownership import refuse_inputs
from melanoma_tf.evaluation.combine import combine
from melanoma_tf.evaluation.predictions import Predictions, write_predictions
from melanoma_tf.evaluation.score import LabelledPredictions, align_with_truth, score_predictions
from melanoma_tf.evaluation.temperature import probabilities
from melanoma_tf.records.manifest import shard_paths
from melanoma_tf.records.record_set import RecordSet, RecordsLike


@dataclass(frozen=True)
class EvaluationSettings:
    """How runs are scored.

    Attributes:
        split: `train`, `validation` or `test`; of a run on a fold, as the folds divide it.
        combine: how several runs become one, see `evaluation.combine`.
        tta: views of each image, 1, 2, 4 or 8: mirrored, turned; probabilities are averaged.
        purify: one of `PURIFICATIONS`; None does as each run's own settings say.
        calibrated: apply each run's temperature to its logits, before views and runs are averaged.
            None does so where every run has one.
        operating_points: a `calibration.json`, or the `metrics.json` of an evaluation of other
            images, whose thresholds are carried over; None takes those of a single run's
            `calibration.json`.
        rounds: of the bootstrap; 0 leaves intervals out.
        seed: of the bootstrap.
        batch_size: images in a batch.
    """

    split: str = "test"
    combine: str = "mean"
    tta: int = 1
    purify: str | None = None
    calibrated: bool | None = None
    operating_points: Path | None = None
    rounds: int = 1000
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.purify not in (None, *PURIFICATIONS):
            raise MelanomaError(
                f"expected purification by {' or '.join(PURIFICATIONS)}; found {self.purify}"
            )
        if self.combine == "ranks" and self.operating_points is not None:
            raise MelanomaError(
                "expected no operating points with ranks: a rank depends on the other images of "
                "its set, so that no threshold carries over"
            )


@dataclass(frozen=True)
class Member:
    """One run of an evaluation.

    Attributes:
        run_dir: its folder.
        config: its `config.json`.
        inputs: how it sees images here.
        calibration: its `calibration.json`, where it has one.
    """

    run_dir: Path
    config: dict[str, Any]
    inputs: pipeline.ClassifierInputs
    calibration: dict[str, Any] | None


def evaluate_classifier(
    run_dirs: Path | Sequence[Path],
    records: RecordsLike,
    settings: EvaluationSettings | None = None,
    *,
    output: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterator[Any]], Iterator[Any]] = iter,
) -> dict[str, Any]:
    """Score finished runs, as one classifier, on a split of record folders.

    Writes `predictions.csv` (probabilities, or ranks), `metrics.json` and `report.html` into
    `output`, and TensorBoard's view of them below its `logs/`.

    Args:
        run_dirs: a finished classifier run, or several of the same classes.
        records: a record folder of their classes, or several that hold each image once.
        settings: see `EvaluationSettings`.
        output: folder for the files; of a single run, its own folder by default.
        overwrite: replace files that are there.
        progress: receives blocks of bootstrap rounds and yields them again (a progress bar).

    Returns:
        The content of `metrics.json`, see `docs/evaluation.md`.

    Raises:
        MelanomaError: an unfinished run or records, other classes or another order of them, an
            empty split, an image that stands in two folders, existing files, no `output` for
            several runs, runs that were trained on the images that others hold out.
    """
    settings = settings or EvaluationSettings()
    run_dirs = [run_dirs] if isinstance(run_dirs, (str, Path)) else list(run_dirs)
    output = _output(run_dirs, output)
    for name in ("predictions.csv", "metrics.json"):
        refuse_existing_file(output / name, overwrite)
    refuse_existing_report(output, settings.split, overwrite)
    members = _members(run_dirs, settings)
    records = _records(records, members, settings.split)
    refuse_inputs(output, records.folders)
    seen = [_seen(member, records, settings) for member in members]
    apply = _applies_temperature(members, settings.calibrated)
    predictions = _combined(members, seen, settings, apply)
    labelled = align_with_truth(predictions)
    description = _description(members, records, settings, seen, apply)
    metrics = {
        **description,
        **_scored(labelled, settings, progress),
        "calibration": _calibration(members, seen, settings, apply),
        "operating_points": {
            "chosen_on_this_set": in_sample_points(labelled, settings.rounds, settings.seed),
            **_carried(members, labelled, settings, description),
        },
    }
    write_predictions(output / "predictions.csv", predictions)
    write_json(output / "metrics.json", metrics)
    write_report(output, run_dirs, records, predictions, metrics, overwrite=overwrite)
    return metrics


def calibrate_classifier(
    run_dir: Path,
    records: RecordsLike,
    *,
    split: str = "validation",
    tta: int = 1,
    purify: str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fit a finished run's temperature and thresholds, see `classification.calibrate.calibrate`.

    Raises:
        MelanomaError: as `evaluate_classifier`.
    """
    settings = EvaluationSettings(split=split, tta=tta, purify=purify, batch_size=batch_size)
    config = training.read_config(run_dir, KIND)
    inputs = _inputs(config, settings)
    records = _records(records, [Member(run_dir, config, inputs, None)], split)
    records = as_divided(records, config, run_dir, split)
    return calibrate(run_dir, records, inputs, split=split, views=tta, overwrite=overwrite)


def _output(run_dirs: Sequence[Path], output: Path | None) -> Path:
    if not run_dirs:
        raise MelanomaError("expected a run folder; found none")
    for index, run_dir in enumerate(run_dirs):
        if Path(run_dir).resolve() in [Path(other).resolve() for other in run_dirs[:index]]:
            raise MelanomaError(f"expected each run once; {run_dir} is given twice")
    if output is None and len(run_dirs) > 1:
        raise MelanomaError(
            f"expected --output with {len(run_dirs)} runs: their scores belong into no run's folder"
        )
    return Path(run_dirs[0]) if output is None else output


def _members(run_dirs: Sequence[Path], settings: EvaluationSettings) -> list[Member]:
    configs = [training.read_config(run_dir, KIND) for run_dir in run_dirs]
    first = configs[0]["class_names"]
    for run_dir, config in zip(run_dirs, configs):
        if config["class_names"] != first:
            raise MelanomaError(
                f"expected runs of the same classes in the same order; {run_dirs[0]} has "
                f"{', '.join(first)}; {run_dir} has {', '.join(config['class_names'])}"
            )
    refuse_mixed_folds(run_dirs, configs, settings.split, settings.combine)
    return [
        Member(Path(run_dir), config, _inputs(config, settings), read_calibration(run_dir))
        for run_dir, config in zip(run_dirs, configs)
    ]


def _inputs(config: dict[str, Any], settings: EvaluationSettings) -> pipeline.ClassifierInputs:
    inputs = classifier_inputs(config, settings.batch_size)
    if settings.purify is None:
        return inputs
    return purified_by(inputs, config, settings.purify)


def _records(records: RecordsLike, members: Sequence[Member], split: str) -> RecordSet:
    records = RecordSet.read(records)
    expected = members[0].config["class_names"]
    if list(records.class_names) != expected:
        raise MelanomaError(
            f"{members[0].run_dir} was trained on the classes {', '.join(expected)}; "
            f"{records} has {', '.join(records.class_names)}"
        )
    if any(folds_of(member.config, split) for member in members):
        records.refuse_repeated(DIVIDED)
        return records
    for folder, manifest in zip(records.folders, records.manifests):
        shard_paths(folder, manifest, split)  # One that adds nothing is a mistake.
    records.refuse_repeated([split])
    return records


def _seen(member: Member, records: RecordSet, settings: EvaluationSettings) -> ViewLogits:
    own = as_divided(records, member.config, member.run_dir, settings.split)
    batches = pipeline.evaluation_batches(own, settings.split, member.inputs)
    return view_logits(training.load_model(member.run_dir), batches, settings.tta)


def _applies_temperature(members: Sequence[Member], wanted: bool | None) -> bool:
    without = [str(member.run_dir) for member in members if member.calibration is None]
    if wanted and without:
        raise MelanomaError(
            f"expected a calibration of each run; {without[0]} has none: fit it with calibrate"
        )
    return not without if wanted is None else wanted


def _temperature(member: Member, apply: bool) -> float:
    return float(member.calibration["temperature"]) if apply and member.calibration else 1.0


def _combined(
    members: Sequence[Member], seen: Sequence[ViewLogits], settings: EvaluationSettings, apply: bool
) -> Predictions:
    counted = _counted(seen, settings.combine)
    keys = [key for one in counted for key in one.keys]
    # Two sources may hold an image of the same name, and name two patients alike.
    with_source = len(set(keys)) < len(keys)
    with_namespace = len(set().union(*(one.namespaces() for one in counted))) > 1
    parts = [
        one.as_predictions(
            probabilities(one.logits, _temperature(member, apply)),
            tuple(member.config["class_names"]),
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
    progress: Callable[[Iterator[Any]], Iterator[Any]],
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
    """What was scored, and how."""
    runs = [
        {
            "run_dir": str(member.run_dir),
            "purify": purification(member.inputs),
            "temperature": _temperature(member, apply),
        }
        for member in members
    ]
    methods = sorted({str(run["purify"]) for run in runs})
    return {
        "split": settings.split,
        "records": [str(folder) for folder in records.folders],
        "runs": runs,
        "combine": settings.combine,
        "scores": "ranks" if settings.combine == "ranks" else "probabilities",
        "tta": settings.tta,
        "purify": methods[0] if len(methods) == 1 else "mixed",
        "calibrated": apply,
        "classes": list(records.class_names),
        "images_sha256": images_sha256(
            [name for one in _counted(seen, settings.combine) for name in one.names()]
        ),
        "settings": {
            **dataclasses.asdict(settings),
            "operating_points": settings.operating_points and str(settings.operating_points),
        },
    }


def _calibration(
    members: Sequence[Member], seen: Sequence[ViewLogits], settings: EvaluationSettings, apply: bool
) -> dict[str, Any] | None:
    """How reliable the probabilities are with and without temperatures; None for ranks."""
    if settings.combine == "ranks":
        return None
    found: dict[str, Any] = {"applied": apply, "raw": None, "calibrated": None}
    names = tuple(members[0].config["class_names"])
    for name, temperature in (("raw", False), ("calibrated", True)):
        if temperature and any(member.calibration is None for member in members):
            continue
        predictions = _combined(members, seen, settings, temperature)
        assert predictions.labels is not None  # Records always have them.
        found[name] = reliability(predictions.scores, predictions.labels, names)
    return found


def _carried(
    members: Sequence[Member],
    labelled: LabelledPredictions,
    settings: EvaluationSettings,
    description: dict[str, Any],
) -> dict[str, Any]:
    """What thresholds that were chosen on other images give here, if there are such."""
    source: Thresholds | None = None
    if settings.operating_points is not None:
        source = read_thresholds(settings.operating_points, description)
    elif len(members) == 1 and settings.combine == "mean" and members[0].calibration is not None:
        source = thresholds_of(
            members[0].run_dir / FILE, members[0].calibration, description["calibrated"]
        )
    return transferred_points(source, labelled, description, settings.rounds, settings.seed)
