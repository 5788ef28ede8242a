"""TensorFlow Lite models, for phones and small devices; see `serving.conversion`."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.serving.conversion import Format, Predict
from melanoma_tf.serving.settings import FLOAT16

FOLDER = "lite"
_CALIBRATION_IMAGES = 200


def lite_formats(kinds: Sequence[str]) -> list[Format]:
    """The formats `lite/KIND.tflite` of the kinds `float16` and `int8`."""
    return [
        Format(kind, f"{FOLDER}/{kind}.tflite", functools.partial(_converted, kind), _load)
        for kind in kinds
    ]


def _converted(kind: str, network: keras.Model, squares: np.ndarray) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
        return _convert(converter)

    def representative() -> Iterator[list[np.ndarray]]:
        step = max(1, len(squares) // _CALIBRATION_IMAGES)
        for square in squares[::step]:
            yield [square[np.newaxis].astype(np.float32)]

    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _convert(converter)


def _convert(converter: tf.lite.TFLiteConverter) -> bytes:
    with warnings.catch_warnings():
        # It misses ranges of inputs that it has just measured.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return converter.convert()


def _load(content: bytes) -> Predict:
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
