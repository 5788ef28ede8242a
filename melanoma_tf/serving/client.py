"""Classify image files with an exported model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.classification.module import CLASSES, INPUT, PROBABILITIES
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.classifier_export import VERSION


@dataclass(frozen=True)
class Prediction:
    """An image file and what the model says of it.

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
        """The class with the highest probability; empty where there are none."""
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


class ServedClassifier:
    """An exported classifier, loaded."""

    def __init__(self, folder: Path):
        """Load `saved_models/NAME`, or one of its version folders.

        Raises:
            MelanomaError: there is no exported model in the folder.
        """
        version_dir = folder / VERSION if (folder / VERSION).is_dir() else folder
        if not (version_dir / "saved_model.pb").is_file():
            raise MelanomaError(f"expected an exported model at {folder}; found no saved_model.pb")
        # The model owns the variables that its signature only refers to: keep both.
        self._model = tf.saved_model.load(str(version_dir))
        self._signature = self._model.signatures[tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY]

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Classify files in batches, in order.

        A file that is no image yields a `Prediction` with an error; the others go on.
        """
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            contents = [path.read_bytes() for path in batch]
            try:
                yield from self._predict(batch, contents)
            except tf.errors.InvalidArgumentError:
                # One bad image fails the whole batch: find it, and keep the others.
                for path, content in zip(batch, contents):
                    yield self._predict_one(path, content)

    def _predict_one(self, path: Path, content: bytes) -> Prediction:
        try:
            return next(self._predict([path], [content]))
        except tf.errors.InvalidArgumentError:
            return Prediction(
                path, (), None, "expected a whole JPEG or PNG image; it cannot be decoded"
            )

    def _predict(self, paths: Sequence[Path], contents: list[bytes]) -> Iterator[Prediction]:
        answer = self._signature(**{INPUT: tf.constant(contents)})
        names = [tuple(name.decode() for name in row) for row in answer[CLASSES].numpy()]
        return map(Prediction, paths, names, answer[PROBABILITIES].numpy())
