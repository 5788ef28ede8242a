"""Finished classifier runs that are used as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.calibration_file import require_biases, scale_of
from melanoma_tf.classification.cross_validation import ClassifierRecord
from melanoma_tf.classification.data import ClassifierInputs
from melanoma_tf.classification.evaluation_settings import (
    FilePredictionSettings,
    InferenceSettings,
)
from melanoma_tf.classification.inputs import classifier_inputs, purified_by
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import resolved
from melanoma_tf.evaluation.prevalence import read_prevalence
from melanoma_tf.evaluation.temperature import UNSCALED, LogitScale
from melanoma_tf.training.run_record import read_run

_Settings = Union[InferenceSettings, FilePredictionSettings]


@dataclass(frozen=True)
class Member:
    """One run of an ensemble.

    Attributes:
        run_dir: its folder.
        record: of the run.
        inputs: how it sees images here.
        calibration: its `calibration.json`, where it has one.
    """

    run_dir: Path
    record: ClassifierRecord
    inputs: ClassifierInputs
    calibration: dict[str, Any] | None


def read_members(run_dirs: Sequence[Path], settings: _Settings) -> list[Member]:
    """Read finished runs of the same classes.

    Raises:
        MelanomaError: no run, a run twice, an unfinished run, or other classes.
    """
    refuse_repeated(run_dirs)
    records = [read_run(run_dir, CLASSIFIER) for run_dir in run_dirs]
    first = records[0].class_names
    for run_dir, record in zip(run_dirs, records):
        if record.class_names != first:
            raise MelanomaError(
                f"expected runs of the same classes in the same order; {run_dirs[0]} has "
                f"{', '.join(first)}; {run_dir} has {', '.join(record.class_names)}"
            )
    return [
        Member(Path(run_dir), record, inputs_of(record, settings), read_calibration(run_dir))
        for run_dir, record in zip(run_dirs, records)
    ]


def refuse_repeated(run_dirs: Sequence[Path]) -> None:
    """Refuse no run, or one that is given twice.

    Raises:
        MelanomaError: see above.
    """
    if not run_dirs:
        raise MelanomaError("expected a run folder; found none")
    for index, run_dir in enumerate(run_dirs):
        if resolved(Path(run_dir)) in [resolved(Path(other)) for other in run_dirs[:index]]:
            raise MelanomaError(f"expected each run once; {run_dir} is given twice")


def inputs_of(record: ClassifierRecord, settings: _Settings) -> ClassifierInputs:
    """Return how a run sees images under the settings."""
    chosen = record.settings
    if settings.purify is not None:
        chosen = purified_by(chosen, settings.purify)
    return classifier_inputs(chosen, batch_size=settings.batch_size)


def applies_calibration(members: Sequence[Member], wanted: bool | None) -> bool:
    """Decide whether the runs' calibrations are applied; None asks for it if all have one.

    Raises:
        MelanomaError: it is wanted, and a run has no calibration.
    """
    without = [str(member.run_dir) for member in members if member.calibration is None]
    if wanted and without:
        raise MelanomaError(
            f"expected a calibration of each run; {without[0]} has none: fit it with calibrate"
        )
    return not without if wanted is None else wanted


def prevalence_of(members: Sequence[Member], wanted: str | None) -> dict[str, float] | None:
    """Return the class frequencies that probabilities shall assume, see `evaluation.prevalence`.

    Raises:
        MelanomaError: as `read_prevalence`; a run's calibration has no biases.
    """
    if wanted is not None:
        for member in members:
            require_biases(member.calibration, str(member.run_dir))
    return read_prevalence(wanted, members[0].record.class_names)


def member_scale(
    member: Member, apply: bool, prevalence: dict[str, float] | None = None
) -> LogitScale:
    """Return the scale of a run's logits; that of no calibration where none applies."""
    return scale_of(member.calibration, prevalence) if apply else UNSCALED
