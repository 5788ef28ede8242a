"""Classifiers of one photograph at a time, explained: an exported model, or the one that ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import tensorflow as tf

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.data import central_view_of
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.pretrained import classifier_run
from melanoma_tf.records.decode import Pixels, UnreadableImageError
from melanoma_tf.serving.classifier_export import thresholds_of
from melanoma_tf.serving.encoded_files import encoded_for_model
from melanoma_tf.serving.exported import ExportedModel
from melanoma_tf.serving.pictures import with_saliency
from melanoma_tf.serving.runs import ServedRuns
from melanoma_tf.serving.settings import SHIPPED_VIEWS, PredictionSettings
from melanoma_tf.serving.signatures import (
    CLASSES,
    DEFAULT,
    EXPLAIN,
    OVERLAY,
    PROBABILITIES,
    SALIENCY,
    above_threshold,
)
from melanoma_tf.training.run_record import read_run

SENSITIVITIES = ("0.82", "0.89", "0.95")


@dataclass(frozen=True)
class Classification:
    """What a classifier says of a photograph.

    Attributes:
        probabilities: by class.
        reached: by class, the sensitivities whose thresholds the probability reaches, as `82%`.
        saliency: the picture with saliency over it; None where the classifier gives none.
    """

    probabilities: Mapping[str, float]
    reached: Mapping[str, tuple[str, ...]]
    saliency: Pixels | None = None


class PhotographClassifier(Protocol):
    """Classifies a photograph."""

    name: str

    def classify(self, path: Path, picture: Pixels) -> Classification:
        """Classify an image file.

        Args:
            path: the file.
            picture: its pixels as they are shown, uint8 RGB `(height, width, 3)`.

        Raises:
            MelanomaError: the file cannot be read; the message is the reason.
        """


class ExportedClassifier:
    """An exported model as it answers on a server."""

    def __init__(self, exported: ExportedModel):
        self.name, self._exported = str(exported.version), exported

    def classify(self, path: Path, picture: Pixels) -> Classification:
        """See `PhotographClassifier`."""
        content = encoded_for_model(path)
        if isinstance(content, UnreadableImageError):
            raise content
        explain = self._exported.signatures.get(EXPLAIN)
        has_saliency = explain is not None and SALIENCY in explain.structured_outputs
        signature = EXPLAIN if has_saliency else DEFAULT
        (answer,) = self._exported.answer([content], signature=signature)
        if isinstance(answer, str):
            raise MelanomaError(answer)
        names = [name.decode() for name in answer[CLASSES]]
        none = np.zeros(len(names), bool)
        above = {each: answer.get(above_threshold(each), none) for each in SENSITIVITIES}
        overlay = answer.get(OVERLAY) if has_saliency else None
        return Classification(
            dict(zip(names, map(float, answer[PROBABILITIES]))),
            _reached(names, above),
            None if overlay is None else _decoded(overlay),
        )


class ShippedClassifier:
    """The classifier that ships, as `melanoma-tf predict` uses it: the mean of eight views."""

    name = "the network that ships with melanoma-tf"

    def __init__(self) -> None:
        run_dir = classifier_run(SHIPPED)
        self._runs = ServedRuns((Path(SHIPPED),), PredictionSettings(tta=SHIPPED_VIEWS))
        self._thresholds = thresholds_of(read_calibration(run_dir))
        self._inputs = classifier_inputs(read_run(run_dir, CLASSIFIER).settings, batch_size=1)
        self._explain = visual_backprop(load_classifier(run_dir))

    def classify(self, path: Path, picture: Pixels) -> Classification:
        """See `PhotographClassifier`."""
        (found,) = self._runs.predict([path])
        if found.error:
            raise MelanomaError(found.error)
        names, probabilities = found.class_names, np.asarray(found.probabilities)
        above = {
            sensitivity: [
                least is not None and at >= least for at, least in zip(probabilities, row)
            ]
            for sensitivity, row in self._thresholds.items()
        }
        return Classification(
            dict(zip(names, map(float, probabilities))),
            _reached(names, above),
            self._salient(tf.constant(picture)),
        )

    def _salient(self, picture: tf.Tensor) -> Pixels:
        inputs = self._inputs
        saliency, _ = self._explain(central_view_of(picture, inputs)[tf.newaxis])
        seen = inputs.image_size_px / inputs.short_side_px
        shown: Pixels = with_saliency(picture, saliency[0], seen).numpy()
        return shown


def _reached(names: Sequence[str], above: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """By class, the sensitivities of which `above` has a true value in the row of the class."""
    return {
        name: tuple(f"{float(each):.0%}" for each, rows in above.items() if rows[row])
        for row, name in enumerate(names)
    }


def _decoded(content: bytes) -> Pixels:
    pixels: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    decoded: Pixels = pixels[..., ::-1]
    return decoded
