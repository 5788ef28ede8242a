"""A classifier for phones and small devices: TensorFlow Lite, verified against the network.

A lite model takes the square that the network sees, already decoded, and gives probabilities: an
app decodes, turns, scales and crops as `metadata.json` says under `preprocessing`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_tf.classification.data import ClassifierInputs, central_view, evaluation_batches
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import write_atomically
from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.images.orientation import read_orientation
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.serving.settings import FLOAT16

FOLDER = "lite"
_CALIBRATION_IMAGES = 200


@dataclass(frozen=True)
class LiteCheck:
    """How far a lite model is from the network that it was made of.

    Attributes:
        kind: `float16` or `int8`.
        size_bytes: of the file.
        golden_difference: largest difference of a probability on the golden photographs.
        difference: the same on the records; None without records.
        auc: mean AUC of the lite model on the records; None without records, or where undefined.
        network_auc: likewise of the network.
    """

    kind: str
    size_bytes: int
    golden_difference: float
    difference: float | None = None
    auc: float | None = None
    network_auc: float | None = None


class LiteExport:
    """Converts and checks.

    Args:
        model: from RGB in [0, 255] to logits.
        inputs: how the network sees images.
        temperature: logits are divided by it.
        class_names: in the order of the logits.
    """

    def __init__(
        self,
        model: keras.Model,
        inputs: ClassifierInputs,
        temperature: float,
        class_names: Sequence[str],
    ):
        self._inputs, self._class_names = inputs, tuple(class_names)
        size = inputs.image_size_px
        squares = keras.Input((size, size, 3))
        logits = model(squares, training=False)
        self._network = keras.Model(squares, tf.nn.softmax(logits / temperature))

    def write(
        self,
        folder: Path,
        kinds: Sequence[str],
        golden: Sequence[bytes],
        records: RecordsLike | None = None,
        split: str = "validation",
    ) -> list[LiteCheck]:
        """Write `lite/KIND.tflite` below a version folder, and check each.

        Args:
            folder: the version folder.
            kinds: `float16`, `int8`.
            golden: photographs that can be decoded.
            records: what `int8` is calibrated on, which needs them, and both are scored on.
            split: of the records.

        Raises:
            MelanomaError: records of other classes, or without the split.
        """
        squares, labels = self._examples(records, split)
        seen = np.stack([self._seen(each) for each in golden])
        checks = []
        for kind in kinds:
            content = self._converted(kind, squares)
            write_atomically(folder / FOLDER / f"{kind}.tflite", content)
            checks.append(self._check(kind, content, seen, squares, labels))
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

    def _converted(self, kind: str, squares: np.ndarray) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(self._network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == FLOAT16:
            converter.target_spec.supported_types = [tf.float16]
            return self._convert(converter)

        def representative() -> Iterator[list[np.ndarray]]:
            step = max(1, len(squares) // _CALIBRATION_IMAGES)
            for square in squares[::step]:
                yield [square[np.newaxis].astype(np.float32)]

        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return self._convert(converter)

    @staticmethod
    def _convert(converter: tf.lite.TFLiteConverter) -> bytes:
        with warnings.catch_warnings():
            # It misses ranges of inputs that it has just measured.
            warnings.filterwarnings("ignore", "Statistics for quantized inputs")
            return converter.convert()

    def _check(
        self, kind: str, content: bytes, seen: np.ndarray, squares: np.ndarray, labels: np.ndarray
    ) -> LiteCheck:
        lite = _predictor(content)
        golden = float(np.abs(lite(seen) - self._network.predict(seen, verbose=0)).max())
        if not len(squares):
            return LiteCheck(kind, len(content), golden)
        found, expected = lite(squares), self._network.predict(squares, verbose=0)
        aucs = [
            classification_scores(labels, scores.astype(np.float64), self._class_names)["mean_auc"]
            for scores in (found, expected)
        ]
        return LiteCheck(kind, len(content), golden, float(np.abs(found - expected).max()), *aucs)


def _predictor(content: bytes) -> Any:
    """A function from squares, uint8 `(n, size, size, 3)`, to probabilities."""
    with warnings.catch_warnings():
        # The package that is to replace it does not exist for all versions of Python in use.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(squares: np.ndarray) -> np.ndarray:
        rows = []
        for square in squares:
            interpreter.set_tensor(given["index"], square[np.newaxis].astype(np.float32))
            interpreter.invoke()
            rows.append(interpreter.get_tensor(answered["index"])[0])
        return np.stack(rows)

    return predict
