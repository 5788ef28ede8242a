"""Classify and segment image files with an exported model in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from melanoma_tf.segmentation.predict import Segmentation
from melanoma_tf.serving.exported import ExportedModel
from melanoma_tf.serving.predictions import Prediction
from melanoma_tf.serving.signatures import CLASSES, MASK, PROBABILITIES


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
        exported.require_outputs(MASK, PROBABILITIES)
        self.exported = exported

    def segment(self, paths: Sequence[Path], *, batch_size: int = 8) -> Iterator[Segmentation]:
        """Find the lesion in files in batches, in order.

        A file that is no image yields a `Segmentation` with an error; the others go on.
        """
        for path, answer in zip(paths, self.exported.answers(paths, batch_size)):
            if isinstance(answer, str):
                yield Segmentation(path.stem, None, error=answer)
            else:
                yield Segmentation(path.stem, answer[MASK])
