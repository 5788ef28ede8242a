"""Settings of exported models and of their use. Free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from melanoma_tf.classification.evaluation_settings import PURIFICATIONS, FilePredictionSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import Settings, positive, redeclared, setting
from melanoma_tf.evaluation.prevalence import check_prevalence
from melanoma_tf.evaluation.settings import SubmissionSettings

NONE = "none"
SHIPPED_VIEWS = 8  # The shipped classifier's temperature and thresholds were fitted on as many.
LITE_KINDS = FLOAT16, INT8 = ("float16", "int8")


@dataclass(frozen=True)
class ExportSettings(Settings):
    """Settings of an exported model.

    Attributes:
        segmenter: outlines lesions in the signatures `segment` and `explain`: `shipped`, the folder
            of a finished segmenter run, or `none`. The classifier itself needs no outlines.
        purify: purification method of the images that are classified, or `none`; None does as the
            run's own settings say. It also adds the signature `purify`.
        prevalence: class frequencies that probabilities assume, see `evaluation.prevalence`;
            thresholds are left out where it is given.
        saliency: answer `explain` with saliency maps.
        max_megapixels: an image whose header claims more is refused before it is decoded.
        lite: kinds of lite models to write beside the SavedModel, see `serving.lite`.
        onnx: write an ONNX model beside it, see `serving.onnx_format`.
        lite_records: record folder whose validation split calibrates int8, and on which the models
            of both formats are scored.
        keep: newest versions to keep in the model folder; 0 keeps all.
    """

    segmenter: str = setting(
        NONE,
        "Network that outlines lesions: shipped, or the folder of a segmenter run.",
        metavar="shipped|RUN",
        group="Model",
    )
    purify: Optional[str] = setting(
        None,
        "Remove hairs, rulers, ink and bubbles from the images.",
        choices=PURIFICATIONS,
        shown_default="as the run was trained to",
        group="Model",
    )
    prevalence: Optional[str] = redeclared(
        FilePredictionSettings, "prevalence", None, group="Model"
    )
    saliency: bool = setting(True, "Explain answers by saliency maps.", group="Model")
    max_megapixels: float = positive(
        50.0, "Refuse images that claim more megapixels than this.", group="Model"
    )
    lite: tuple[str, ...] = setting(
        (),
        "Also write a TensorFlow Lite model, verified; repeat for both.",
        choices=LITE_KINDS,
        group="Formats",
    )
    onnx: bool = setting(
        False, "Also write an ONNX model, verified (extra `onnx`).", group="Formats"
    )
    lite_records: Optional[str] = setting(
        None,
        "Record folder to calibrate int8 on and to score these models on (its validation split).",
        metavar="DIR",
        group="Formats",
    )
    keep: int = setting(
        0, "Newest versions to keep; 0 keeps all.", minimum=0, metavar="N", group="Versions"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_prevalence(self.prevalence)
        if INT8 in self.lite and self.lite_records is None:
            raise MelanomaError("expected --lite-records, to calibrate int8 on; found none")
        if self.lite_records is not None and not (self.lite or self.onnx):
            raise MelanomaError("expected --lite-records with --lite or --onnx only")


@dataclass(frozen=True)
class PredictionSettings(FilePredictionSettings):
    """Settings of the classification of image files by an exported model, a server or runs.

    Attributes:
        format: see `evaluation.settings.SubmissionSettings`.
    """

    format: Optional[str] = redeclared(SubmissionSettings, "format", None)

    def refuse_options_of_runs(self) -> None:
        """Refuse options that an exported model cannot follow, since its graph is fixed.

        Raises:
            MelanomaError: one is given.
        """
        given = {
            "--tta": self.tta != 1,
            "--purify": self.purify is not None,
            "--calibrated or --raw": self.calibrated is not None,
            "--prevalence": self.prevalence is not None,
        }
        for option, is_given in given.items():
            if is_given:
                raise MelanomaError(f"expected {option} with --run-dir; an exported model is fixed")


@dataclass(frozen=True)
class ServerSettings(Settings):
    """Settings of the use of a model server.

    Attributes:
        concurrency: batches under way at a time.
        retries: attempts after the first, with growing pauses, where the server is not ready or
            overloaded.
        timeout: seconds to wait for an answer.
    """

    concurrency: int = setting(4, "Batches sent at a time.", minimum=1, maximum=64, group="Server")
    retries: int = setting(
        4,
        "Further attempts, with growing pauses, where the server is not ready or overloaded.",
        minimum=0,
        maximum=20,
        group="Server",
    )
    timeout: float = positive(60.0, "Seconds to wait for an answer.", group="Server")


@dataclass(frozen=True)
class ServingConfigSettings(Settings):
    """Settings of a TensorFlow Serving.

    Attributes:
        base_path: where the server sees the model folders.
        max_batch_size: images that are answered together, of one or several requests.
        batch_timeout_ms: how long a request waits for others.
        max_enqueued_batches: batches that wait; more requests are told to come again.
        batch_threads: batches that are answered at a time.
    """

    base_path: str = setting("/models", "Folder of the models as the server sees it.")
    max_batch_size: int = setting(
        32, "Images answered together.", minimum=1, maximum=1024, group="Batching"
    )
    batch_timeout_ms: float = setting(
        5.0, "Milliseconds that a request waits for others.", minimum=0, group="Batching"
    )
    max_enqueued_batches: int = setting(100, "Batches that may wait.", minimum=1, group="Batching")
    batch_threads: int = setting(
        2, "Batches answered at a time.", minimum=1, maximum=256, group="Batching"
    )


@dataclass(frozen=True)
class AppSettings(Settings):
    """Settings of the local web page.

    Attributes:
        port: of the page on this computer.
    """

    port: int = setting(7860, "Port of the page.", minimum=1, maximum=65535)


@dataclass(frozen=True)
class VerificationSettings(Settings):
    """Settings of the check of an exported model on this machine.

    Attributes:
        tolerance: largest difference of an answer's numbers. Processors round differently: those of
            one kind agree to about 1e-6.
    """

    tolerance: float = positive(1e-4, "Largest difference of probabilities and saliency.")
