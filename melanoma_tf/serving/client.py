"""Classify and segment image files with an exported model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_tf.classification.module import CLASSES, PROBABILITIES
from melanoma_tf.core.files import write_atomically
from melanoma_tf.segmentation.predict import Segmentation
from melanoma_tf.serving.exported import ExportedModel
from melanoma_tf.serving.segmenter_export import MAPS, MASKS


@dataclass(frozen=True)
class Prediction:
    """An image file and its class probabilities.

    Attributes:
        path: the file.
        class_names: in the model's order.
        probabilities: float32 `(classes,)`; None where the file is no image.
        error: why there are no probabilities, else empty.
    """

    path: Path
    class_names: tuple[str, ...]
    probabilities: np.ndarray | None
    error: str = ""

    @property
    def best(self) -> str:
        """The class with the highest probability; empty where the file is no image."""
        if self.probabilities is None:
            return ""
        return self.class_names[int(np.argmax(self.probabilities))]

    def shown(self) -> list[str]:
        """The probabilities with three decimals."""
        values = () if self.probabilities is None else self.probabilities
        return [f"{value:.3f}" for value in values]


def predictions_csv(predictions: Sequence[Prediction]) -> str:
    """The predictions as CSV: `image_id` (the file's name without suffix), a column per class.

    Two files of one name in different folders keep apart by their whole path.
    """
    stems = [prediction.path.stem for prediction in predictions]
    unique = len(set(stems)) == len(stems)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["image_id", *predictions[0].class_names])
    for stem, prediction in zip(stems, predictions):
        if prediction.probabilities is not None:
            name = stem if unique else str(prediction.path)
            writer.writerow([name, *map(float, prediction.probabilities)])
    return rows.getvalue()


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> int:
    """Write the predictions of the files that are images, see `predictions_csv`.

    Returns:
        The number of rows; without any, no file is written.
    """
    good = [prediction for prediction in predictions if not prediction.error]
    if good:
        write_atomically(path, predictions_csv(good))
    return len(good)


class ServedClassifier:
    """An exported classifier; `serving.load` gives it.

    Args:
        exported: a loaded model of the task `classification`.

    Raises:
        MelanomaError: the model has other outputs than a classifier.
    """

    def __init__(self, exported: ExportedModel):
        exported.require_outputs(PROBABILITIES, CLASSES)
        self.exported = exported

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Classify files in batches, in order.

        A file that is no image yields a `Prediction` with an error; the others go on.
        """
        for path, answer in zip(paths, self.exported.answers(paths, batch_size)):
            if isinstance(answer, str):
                yield Prediction(path, (), None, answer)
            else:
                names = tuple(name.decode() for name in answer[CLASSES])
                yield Prediction(path, names, answer[PROBABILITIES])


class ServedSegmenter:
    """An exported segmenter; `serving.load` gives it.

    Args:
        exported: a loaded model of the task `segmentation`.

    Raises:
        MelanomaError: the model has other outputs than a segmenter.
    """

    def __init__(self, exported: ExportedModel):
        exported.require_outputs(MASKS, MAPS)
        self.exported = exported

    def segment(self, paths: Sequence[Path], *, batch_size: int = 8) -> Iterator[Segmentation]:
        """Find the lesion in files in batches, in order.

        A file that is no image yields a `Segmentation` with an error; the others go on.
        """
        for path, answer in zip(paths, self.exported.answers(paths, batch_size)):
            if isinstance(answer, str):
                yield Segmentation(path.stem, None, error=answer)
            else:
                yield Segmentation(path.stem, answer[MASKS])
