"""ONNX models, for other runtimes than TensorFlow; see `serving.conversion`. Extra `onnx`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.serving.conversion import Format, Predict

KIND = "onnx"
# Runtimes of 2022 and later read it.
_OPSET = 17
_BATCH = 32


def onnx_format() -> Format:
    """The format `onnx/model.onnx`: float32 `images` to `probabilities`, any number of them.

    Raises:
        MelanomaError: tf2onnx or onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MelanomaError(
            "expected tf2onnx and onnxruntime, for --onnx; found no module "
            f"{error.name}: pip install melanoma-tf[onnx], from Python 3.10 on"
        ) from error
    return Format(KIND, "onnx/model.onnx", _converted, _load)


def _converted(network: keras.Model, squares: np.ndarray) -> bytes:
    import tf2onnx

    signature = [tf.TensorSpec([None, *network.input_shape[1:]], tf.float32, name="images")]

    @tf.function(input_signature=signature)
    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": network(images, training=False)}

    model, _ = tf2onnx.convert.from_function(answer, input_signature=signature, opset=_OPSET)
    content: bytes = model.SerializeToString()
    return content


def _load(content: bytes) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,), (answered,) = session.get_inputs(), session.get_outputs()

    def predict(squares: np.ndarray) -> np.ndarray:
        parts = [
            session.run([answered.name], {given.name: part.astype(np.float32)})[0]
            for part in (squares[at : at + _BATCH] for at in range(0, len(squares), _BATCH))
        ]
        return np.concatenate(parts)

    return predict
