"""Content of a report: run, data, scores, and remarks that the reader needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.files import public_name
from melanoma_tf.evaluation.predictions import Predictions, listed
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.records.manifest import Manifest

_MONITOR = "val_auc"

Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class TrainedRun:
    """A run that was evaluated.

    Attributes:
        name: of its folder.
        config: the content of its `config.json`.
        history: metrics by epoch; empty where nothing is known.
    """

    name: str
    config: Mapping[str, Any]
    history: Mapping[str, Sequence[float]]

    def kept_epoch(self) -> int | None:
        """The epoch whose weights the run's model has, from 1 on; None without a history."""
        values = self.history.get(_MONITOR)
        if values:
            return 1 + max(
                range(len(values)),
                key=lambda epoch: -math.inf if math.isnan(values[epoch]) else values[epoch],
            )
        return self.epochs() or None

    def epochs(self) -> int:
        """Number of epochs in the history."""
        return max(map(len, self.history.values()), default=0)

    def has_validation(self) -> bool:
        """Tell if there were validation images."""
        return any(name.startswith("val_") for name in self.history)


@dataclass(frozen=True)
class DataFolder:
    """A record folder that was trained on or evaluated.

    Attributes:
        path: as the run names it; a report shows its `name`.
        place: where it lies now.
        use: `training`, `evaluation` or `training and evaluation`.
        manifest: None where it cannot be had.
        problem: why it cannot.
    """

    path: str
    place: Path
    use: str
    manifest: Manifest | None
    problem: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return public_name(self.path)


@dataclass(frozen=True)
class Stage:
    """The training set at one stage of its growth.

    Attributes:
        name: of the stage.
        unit: what is counted: `images`, or `examples` where one may be seen several times.
        counts: by class, then by origin.
    """

    name: str
    unit: str
    counts: Counts


@dataclass(frozen=True)
class Mistake:
    """An image that was taken for what it is not.

    Attributes:
        image_id: its name.
        true, decided: class names.
        probabilities: of those two.
        view: JPEG bytes, what the network saw.
        saliency: JPEG bytes, what it looked at; None where that is not known.
    """

    image_id: str
    true: str
    decided: str
    probabilities: tuple[float, float]
    view: bytes
    saliency: bytes | None


@dataclass(frozen=True)
class MistakeGroup:
    """Mistakes of one kind.

    Attributes:
        title: which.
        total: how many there are.
        shown: the most certain of them.
    """

    title: str
    total: int
    shown: tuple[Mistake, ...]


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report shows.

    Attributes:
        split: that was evaluated.
        predictions: of its images.
        scores: the content of `metrics.json`: what `score.score_predictions` returns, with
            intervals, and `operating_points`; where known, `calibration`, `runs` and how they were
            combined.
        runs: one, or the members of an ensemble.
        folders: trained on or evaluated.
        stages: of the training set's growth; empty where the training records cannot be had.
        mistakes: of each kind; empty where none were looked for.
        mistakes_note: what is to be said of them.
        digest: SHA-256 of the predictions' file.
        version: of this package.
    """

    split: str
    predictions: Predictions
    scores: Mapping[str, Any]
    runs: tuple[TrainedRun, ...]
    folders: tuple[DataFolder, ...]
    stages: tuple[Stage, ...]
    mistakes: tuple[MistakeGroup, ...]
    mistakes_note: str
    digest: str
    version: str

    @property
    def title(self) -> str:
        """The run's name, or the members' names."""
        return " + ".join(run.name for run in self.runs)


def flat_settings(
    settings: Mapping[str, Any], left_out: Sequence[str] = (), prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Settings by dotted name, `batches.balance`.

    Args:
        settings: of which each may hold others.
        left_out: names at the top that are passed over.
        prefix: before each name.
    """
    for key, value in settings.items():
        if key in left_out:
            continue
        if isinstance(value, Mapping):
            yield from flat_settings(value, prefix=f"{prefix}{key}.")
        else:
            yield prefix + key, value


def notices(content: ReportContent) -> Iterator[str]:
    """Yield warnings that a reader of the scores needs."""
    if content.split == "train":
        yield (
            "The network was trained on these images: the scores say nothing about other images."
        )
    if content.split == "validation":
        yield (
            "The epoch was chosen on this validation split: the scores are optimistic. "
            "Evaluate the test split once everything is chosen."
        )
    yield from _of_classes(content)
    if not all(run.has_validation() for run in content.runs):
        yield (
            "There was no validation split (or its history is gone): the last "
            "epoch was kept, and may not be the best."
        )
    for run in content.runs:
        folds = run.config.get("cross_validation", {})
        if folds.get("folds"):
            yield (
                f"{run.name} holds out fold {folds['fold']} of {folds['folds']}: training and "
                "validation images are not those of the splits of the records."
            )
    groups = content.predictions.groups
    if groups is None or not any(groups):
        yield (
            "The patients are unknown. Intervals treat the images as independent; where "
            "patients have several, the true intervals are wider."
        )
    elif not all(groups):
        unknown = sum(not group for group in groups)
        yield f"The patient is unknown for {unknown:,} of {len(groups):,} images."
    for folder in content.folders:
        if folder.manifest is None:
            yield f"Records of {folder.use}: {folder.problem}."


def _of_classes(content: ReportContent) -> Iterator[str]:
    names = content.scores["classes"]
    absent = [name for name in names if not content.scores["n_per_class"][name]]
    if absent:
        yield (
            f"The {content.split} split has no example of {_spoken(absent)}: its metrics are "
            "undefined, and means are over the other classes."
        )
    if content.stages:
        unseen = [
            name for name in names if not sum(content.stages[-1].counts.get(name, {}).values())
        ]
        if unseen:
            yield f"There was no training example of {_spoken(unseen)}: it cannot be learned."


def _spoken(names: Sequence[str]) -> str:
    return listed([spoken(name) for name in names], 9)
