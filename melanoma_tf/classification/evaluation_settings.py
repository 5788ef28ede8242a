"""Settings of the use of a trained classifier: calibration, evaluation, explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.classification.expansion_plan import EXPANSION_PLANS
from melanoma_tf.classification.settings import PURIFY_METHODS
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, redeclared, setting
from melanoma_tf.evaluation import prevalence as frequencies
from melanoma_tf.evaluation.settings import SubmissionSettings

SPLITS = ("train", "validation", "test")
VIEWS = (1, 2, 4, 8)
PURIFICATIONS = ("none", *PURIFY_METHODS)
COMBINATIONS = ("mean", "ranks", "folds")
CALIBRATION_METHODS = TEMPERATURE, BIAS_CORRECTED = ("temperature", "bias-corrected")


@dataclass(frozen=True)
class InferenceSettings(Settings):
    """Settings of the images that a trained classifier sees.

    Attributes:
        split: of a run on a fold, as the folds divide it.
        tta: views of each image, mirrored and turned; probabilities are averaged over them.
        purify: purification method, or `none`; None does as each run's own settings say.
        batch_size: images in a batch.
    """

    split: str = setting("test", "Split of the records.", choices=SPLITS, group="Data")
    tta: int = setting(
        1,
        "Test-time augmentation: views of each image, mirrored and turned, over which "
        "probabilities are averaged.",
        choices=VIEWS,
        group="Inference",
    )
    purify: Optional[str] = setting(
        None,
        "Remove hairs, rulers, ink and bubbles from the images.",
        choices=PURIFICATIONS,
        shown_default="as the run was trained to",
        group="Inference",
    )
    batch_size: int = setting(32, "Images in a batch.", minimum=1, group="Inference")


@dataclass(frozen=True)
class CalibrationSettings(InferenceSettings):
    """Settings of the fit of a run's temperature, biases and thresholds.

    Attributes:
        method: `temperature`, or `bias-corrected`, which fits a bias of each class, too.
    """

    split: str = redeclared(
        InferenceSettings,
        "split",
        "validation",
        help="Split to fit on. Scores of the same images are then optimistic.",
    )
    method: str = setting(
        TEMPERATURE,
        "Fit one temperature, or also a bias of each class: for networks trained on other class "
        "frequencies than those of the images, as on balanced batches.",
        choices=CALIBRATION_METHODS,
        group="Calibration",
    )


@dataclass(frozen=True)
class EvaluationSettings(InferenceSettings):
    """Settings of the evaluation of runs.

    Attributes:
        combine: how several runs become one, see `evaluation.combine`.
        calibrated: apply each run's temperature, and biases, to its logits, before views and runs
            are averaged. None does so where every run has them.
        prevalence: class frequencies that probabilities assume, see `evaluation.prevalence`.
        operating_points: a `calibration.json`, or the `metrics.json` of an evaluation of other
            images, whose thresholds are applied; None takes those of a single run's
            `calibration.json`.
        rounds, seed: of the bootstrap.
        format: also write `submission.csv`, see `evaluation.settings.SubmissionSettings`.
    """

    combine: str = setting(
        "mean",
        "Several runs: the mean of probabilities, or of ranks within each class (which are no "
        "probabilities); folds scores each image by the run that held it out.",
        choices=COMBINATIONS,
        group="Inference",
    )
    calibrated: Optional[bool] = setting(
        None,
        "Apply each run's fitted temperature and biases, or not.",
        option="--calibrated/--raw",
        shown_default="where every run has one",
        group="Inference",
    )
    prevalence: Optional[str] = setting(
        None,
        frequencies.HELP,
        metavar=frequencies.METAVAR,
        shown_default=frequencies.SHOWN_DEFAULT,
        group="Inference",
    )
    operating_points: Optional[str] = setting(
        None,
        "Apply the thresholds of this calibration.json, or metrics.json of other images.",
        metavar="FILE",
        shown_default="a single run's calibration.json",
        group="Scores",
    )
    rounds: int = setting(
        1000,
        "Bootstrap rounds for the 95 % intervals; 0 leaves them out.",
        minimum=0,
        group="Scores",
    )
    seed: int = setting(0, "Seed of the bootstrap.", minimum=0, group="Scores")
    format: Optional[str] = redeclared(
        SubmissionSettings,
        "format",
        None,
        help="Also write submission.csv, in the format of this challenge.",
        shown_default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_prevalence(self.prevalence, self.calibrated)
        if self.combine == "ranks" and self.operating_points is not None:
            raise MelanomaError(
                "expected no operating points with ranks: a rank depends on the other images of "
                "its set, so that no threshold carries over"
            )


@dataclass(frozen=True)
class FilePredictionSettings(Settings):
    """Settings of the classification of image files; all as in `EvaluationSettings`."""

    tta: int = redeclared(InferenceSettings, "tta", 1)
    purify: Optional[str] = redeclared(InferenceSettings, "purify", None)
    batch_size: int = redeclared(InferenceSettings, "batch_size", 32)
    calibrated: Optional[bool] = redeclared(EvaluationSettings, "calibrated", None)
    prevalence: Optional[str] = redeclared(EvaluationSettings, "prevalence", None)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_prevalence(self.prevalence, self.calibrated)


def _check_prevalence(prevalence: str | None, calibrated: bool | None) -> None:
    frequencies.check_prevalence(prevalence)
    if prevalence is not None and calibrated is False:
        raise MelanomaError("expected --prevalence without --raw: it changes calibrated logits")


@dataclass(frozen=True)
class ExplanationSettings(Settings):
    """Settings of an explanation: which images, and which pictures of them.

    Attributes:
        split: of the records.
        errors: show this many mistakes of each kind about a class instead; 0 explains all images.
        class_name: the class of `errors`; None takes melanoma.
        pictures: how many images get a picture; None draws 50 of records, and all of image files.
        picture_size_px: side of a picture.
        even: see `classification.saliency.enlarge`.
        baseline: also measure the same network with random weights.
        seed: of the random weights and of the bootstrap.
    """

    split: str = setting("test", "Split of the records.", choices=SPLITS, group="Data")
    errors: int = setting(
        0,
        "Sheets of this many mistakes instead; 0 explains all images.",
        minimum=0,
        metavar="N",
        group="Mistakes",
    )
    class_name: Optional[str] = setting(
        None,
        "Class whose mistakes --errors shows.",
        option="--class",
        metavar="NAME",
        shown_default="melanoma",
        group="Mistakes",
    )
    pictures: Optional[int] = setting(
        None,
        "How many images get a picture; the table has all.",
        minimum=0,
        shown_default="50 of records, all image files",
        group="Pictures",
    )
    picture_size_px: int = setting(
        256, "Side of a picture in pixels.", minimum=32, maximum=1024, group="Pictures"
    )
    even: bool = setting(
        False,
        "Remove the mesh that the published method lays over its maps.",
        group="Saliency",
    )
    baseline: bool = setting(
        False, "Measure the same network with random weights, too.", group="Saliency"
    )
    seed: int = setting(0, "Seed of the random weights and of the bootstrap.", group="Saliency")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline and self.errors:
            raise MelanomaError("expected --baseline with --run-dir and without --errors")
        if self.class_name is not None and not self.errors:
            raise MelanomaError("expected --class with --errors only")


@dataclass(frozen=True)
class PlanSettings(Settings):
    """Settings of the table of a training set's growth."""

    expansion: str = setting(
        "isic2017",
        "Expansion plan, by the classes of the training set.",
        choices=tuple(EXPANSION_PLANS),
        group="Balance",
    )


@dataclass(frozen=True)
class ReportSettings(Settings):
    """Settings of `report.html`.

    Attributes:
        examples: pictures of errors of each kind.
    """

    examples: int = setting(
        6, "Pictures of errors of each kind; 0 leaves pictures out.", minimum=0, group="Report"
    )
