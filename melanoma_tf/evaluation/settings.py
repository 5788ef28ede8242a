"""Settings of the scores of predictions and masks. Free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.core.settings import Settings, redeclared, setting

SUBMISSION_FORMATS = (
    "isic2016", "isic2017", "isic2018", "isic2019", "isic2020", "isic2024", "milk10k",
)  # fmt: skip


@dataclass(frozen=True)
class SubmissionSettings(Settings):
    """The form of a file of predictions.

    Attributes:
        format: the challenge's own, one of `SUBMISSION_FORMATS`; None writes `image_id` and a
            column for each class.
    """

    format: Optional[str] = setting(
        None,
        "Write the predictions in the format of this challenge, to be submitted as they are.",
        choices=SUBMISSION_FORMATS,
        shown_default="image_id and a column per class",
        group="Output",
    )


@dataclass(frozen=True)
class BootstrapSettings(Settings):
    """Confidence intervals by the bootstrap.

    Attributes:
        rounds: resamples; 0 leaves intervals out.
        seed: of the resamples.
    """

    rounds: int = setting(
        1000,
        "Bootstrap rounds for the 95 % intervals; 0 leaves them out.",
        minimum=0,
        group="Intervals",
    )
    seed: int = setting(0, "Seed of the bootstrap.", minimum=0, group="Intervals")


@dataclass(frozen=True)
class SegmenterScoreSettings(BootstrapSettings):
    """Settings of the scores of masks; see `BootstrapSettings`.

    Attributes:
        strict: read masks as the official scorer does, and refuse those that it refuses.
    """

    strict: bool = setting(
        False,
        "Refuse masks that the official scorer refuses: colour, palette, alpha or 16 bits.",
        group="Scores",
    )


@dataclass(frozen=True)
class ScoreSettings(BootstrapSettings):
    """Settings of the reading and scoring of a classifier's predictions.

    Attributes:
        taxonomy: the predictions must have exactly its classes; None takes those of the file.
        use_softmax: the columns are logits.
        min_tpr: sensitivity above which the partial AUC of ISIC 2024 is taken.
    """

    taxonomy: Optional[str] = setting(
        None, "Expect exactly the classes of this taxonomy, as isic2017 or isic2018."
    )
    use_softmax: bool = setting(False, "The columns are logits.", option="--softmax")
    min_tpr: float = setting(
        0.8,
        "Sensitivity above which the partial AUC of ISIC 2024 is taken.",
        minimum=0,
        maximum=1,
        below_maximum=True,
    )


@dataclass(frozen=True)
class ClassifierScoreSettings(ScoreSettings):
    """Settings of the scores of one classifier; see `ScoreSettings`.

    Attributes:
        strict: refuse what the official scorer refuses, and take its conventions.
        sensitivity: at which the specificity is taken.
        roc: add the points of the ROC curves to the JSON file.
    """

    strict: bool = setting(
        False,
        "Refuse what the official scorer of ISIC 2018 and later refuses, and take its conventions "
        "where a class has no examples or is never called.",
        group="Scores",
    )
    sensitivity: tuple[float, ...] = setting(
        (0.82, 0.89, 0.95),
        "Take the specificity at this sensitivity; repeat for several. ISIC 2016: 0.98 and 0.99.",
        minimum=0,
        maximum=1,
        above_minimum=True,
        group="Scores",
    )
    roc: bool = setting(False, "Add the points of the ROC curves to --json.", group="Scores")


@dataclass(frozen=True)
class CompareSettings(ScoreSettings):
    """Settings of the comparison of two classifiers; see `ScoreSettings`."""

    rounds: int = redeclared(
        BootstrapSettings, "rounds", 1000, help="Rounds of the paired bootstrap.", minimum=2
    )
