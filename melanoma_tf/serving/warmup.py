"""`tf_serving_warmup_requests`: what TensorFlow Serving answers to itself before real traffic."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def write_warmup(version_dir: Path, model_name: str, input_name: str, images: list[bytes]) -> None:
    """Write one request per image below a SavedModel's version folder.

    The file is a TFRecord of `tensorflow.serving.PredictionLog` messages, see TensorFlow Serving's
    "SavedModel Warmup". The message is put together here, field by field, so that an export does
    not need the package `tensorflow-serving-api`.

    Args:
        version_dir: `saved_models/NAME/1`.
        model_name: the name under which the model will be served.
        input_name: the default signature's input.
        images: encoded images.
    """
    path = version_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image in images:
            writer.write(_prediction_log(model_name, input_name, image))


def _prediction_log(model_name: str, input_name: str, image: bytes) -> bytes:
    tensor = tf.make_tensor_proto([image], dtype=tf.string, shape=[1]).SerializeToString()
    signature = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY.encode()
    model_spec = _field(1, model_name.encode()) + _field(3, signature)
    entry = _field(1, input_name.encode()) + _field(2, tensor)
    request = _field(1, model_spec) + _field(2, entry)  # PredictRequest: model_spec, inputs
    return _field(6, _field(1, request))  # PredictionLog.predict_log.request


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
