"""Predictions of image files, by whatever classified them, and their CSV. Free of TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core.csv_text import csv_text
from melanoma_tf.core.files import public_names, write_atomically


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

    def to_json(self) -> dict[str, Any]:
        """The prediction for JSON: the file, its probabilities by class, or the error."""
        if self.probabilities is None:
            return {"image": str(self.path), "error": self.error}
        probabilities = dict(zip(self.class_names, map(float, self.probabilities)))
        return {"image": str(self.path), "highest": self.best, "probabilities": probabilities}

    def shown(self) -> list[str]:
        """The probabilities with three decimals."""
        values = () if self.probabilities is None else self.probabilities
        return [f"{value:.3f}" for value in values]


def predictions_csv(predictions: Sequence[Prediction]) -> str:
    """The predictions as CSV: `image_id` (the file's name without suffix), a column per class.

    Two files of one name keep apart by as many parts of their paths as it takes.
    """
    stems = [prediction.path.stem for prediction in predictions]
    unique = len(set(stems)) == len(stems)
    names = stems if unique else public_names([prediction.path for prediction in predictions])
    rows: list[list[Any]] = [["image_id", *predictions[0].class_names]]
    for name, prediction in zip(names, predictions):
        if prediction.probabilities is not None:
            rows.append([name, *map(float, prediction.probabilities)])
    return csv_text(rows)


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> int:
    """Write the predictions of the files that are images, see `predictions_csv`.

    Returns:
        The number of rows; without any, no file is written.
    """
    good = [prediction for prediction in predictions if not prediction.error]
    if good:
        write_atomically(path, predictions_csv(good))
    return len(good)
