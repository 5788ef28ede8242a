"""The exported classifier in other formats, each verified against the network.

A converted model takes the square that the network sees, already decoded, and gives probabilities:
an app decodes, turns, scales and crops as `metadata.json` says under `preprocessing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs, central_view, evaluation_batches
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.temperature import LogitScale
from melanoma_tf.images.orientation import read_orientation
from melanoma_tf.records.record_set import RecordSet, RecordsLike

# From squares, uint8 `(n, size, size, 3)`, to probabilities, float32 `(n, classes)`.
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Format:
    """A format of converted models.

    Attributes:
        kind: `float16`, `int8` or `onnx`.
        file: of the model, below the version folder.
        convert: makes the content of the file from the network, from float32 squares to
            probabilities, and uint8 squares to calibrate on.
        load: makes a function of such a content.
    """

    kind: str
    file: str
    convert: Callable[[keras.Model, np.ndarray], bytes]
    load: Callable[[bytes], Predict]


@dataclass(frozen=True)
class ConversionCheck:
    """How far a converted model is from the network that it was made of.

    Attributes:
        kind: see `Format`.
        file: likewise.
        size_bytes: of the file.
        golden_difference: largest difference of a probability on the golden photographs.
        difference: the same on the records; None without records.
        auc: mean AUC of the converted model on the records; None without records, or where
            undefined.
        network_auc: likewise of the network.
    """

    kind: str
    file: str
    size_bytes: int
    golden_difference: float
    difference: float | None = None
    auc: float | None = None
    network_auc: float | None = None


class Conversion:
    """Converts and checks.

    Args:
        model: from RGB in [0, 255] to logits.
        inputs: how the network sees images.
        scale: of the logits, before the softmax.
        class_names: in the order of the logits.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: ClassifierInputs,
        scale: LogitScale,
        class_names: Sequence[str],
    ):
        self._inputs, self._class_names = inputs, tuple(class_names)
        size = inputs.image_size_px
        squares = keras.Input((size, size, 3))
        logits = model(squares, training=False)
        self._network = keras.Model(squares, tf.nn.softmax(scale.apply(logits)))

    def write(
        self,
        folder: Path,
        formats: Sequence[Format],
        golden: Sequence[bytes],
        records: RecordsLike | None = None,
        split: str = "validation",
    ) -> list[ConversionCheck]:
        """Write a file of each format below a version folder, and check it.

        Args:
            folder: the version folder.
            formats: see `Format`.
            golden: photographs that can be decoded.
            records: what `int8` is calibrated on, which needs them, and all are scored on.
            split: of the records.

        Raises:
            MelanomaError: records of other classes, or without the split.
        """
        squares, labels = self._examples(records, split)
        seen = np.stack([self._seen(each) for each in golden])
        checks = []
        for each in formats:
            content = each.convert(self._network, squares)
            write_atomically(folder / each.file, content)
            checks.append(self._check(each, content, seen, squares, labels))
        return checks

    def _seen(self, encoded: bytes) -> np.ndarray:
        view = central_view(tf.constant(encoded), self._inputs, read_orientation(encoded))
        return view.numpy()

    def _examples(self, records: RecordsLike | None, split: str) -> tuple[np.ndarray, np.ndarray]:
        size = self._inputs.image_size_px
        if records is None:
            return np.zeros([0, size, size, 3], np.uint8), np.zeros([0], np.int64)
        records = RecordSet.read(records)
        if records.class_names != self._class_names:
            raise MelanomaError(
                f"expected records of the classes {', '.join(self._class_names)}; {records} has "
                f"{', '.join(records.class_names)}"
            )
        batches = list(evaluation_batches(records, split, self._inputs).as_numpy_iterator())
        return (
            np.concatenate([batch["image"] for batch in batches]),
            np.concatenate([batch["label"] for batch in batches]),
        )

    def _check(
        self,
        of: Format,
        content: bytes,
        seen: np.ndarray,
        squares: np.ndarray,
        labels: np.ndarray,
    ) -> ConversionCheck:
        predict, size_bytes = of.load(content), len(content)
        golden = float(np.abs(predict(seen) - self._network.predict(seen, verbose=0)).max())
        if not len(squares):
            return ConversionCheck(of.kind, of.file, size_bytes, golden)
        found, expected = predict(squares), self._network.predict(squares, verbose=0)
        difference = float(np.abs(found - expected).max())
        aucs = [
            classification_scores(labels, scores.astype(np.float64), self._class_names)["mean_auc"]
            for scores in (found, expected)
        ]
        return ConversionCheck(of.kind, of.file, size_bytes, golden, difference, *aucs)
