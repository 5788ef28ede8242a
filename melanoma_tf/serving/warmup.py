"""`tf_serving_warmup_requests`: what TensorFlow Serving answers to itself before real traffic.

The file is a TFRecord of `tensorflow.serving.PredictionLog` messages, see TensorFlow Serving's
"SavedModel Warmup". The messages are put together and read here, field by field, so that neither an
export nor its verification needs the package `tensorflow-serving-api`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# Fields of PredictionLog, PredictLog, PredictRequest, ModelSpec and of an entry of a map.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS = 6, 1, 1, 2
_NAME, _SIGNATURE, _KEY, _VALUE = 1, 3, 1, 2
_LENGTH_DELIMITED = 2
_TensorProto = type(tf.make_tensor_proto(0))


@dataclass(frozen=True)
class WarmupRequest:
    """A request that a model gets before real traffic.

    Attributes:
        model: name under which the model is served.
        signature: the signature that it calls.
        inputs: arrays by name of the input.
    """

    model: str
    signature: str
    inputs: dict[str, np.ndarray]


def write_warmup(version_dir: Path, requests: Iterable[WarmupRequest]) -> None:
    """Write requests below a SavedModel's version folder."""
    path = version_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(_encoded(request))


def read_warmup(version_dir: Path) -> list[WarmupRequest]:
    """Read the requests of a version folder.

    Raises:
        MelanomaError: the file is absent, damaged, or without requests.
    """
    path = version_dir / FILE
    if not path.is_file():
        raise MelanomaError(f"expected warm-up requests at {path}; found no such file")
    try:
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        found = [_decoded(record) for record in records]
    except (tf.errors.OpError, LookupError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise MelanomaError(f"{path}: expected warm-up requests; found {reason}") from error
    if not found:  # TensorFlow takes a file of a few bytes for one without records.
        raise MelanomaError(f"{path}: expected warm-up requests; found none")
    return found


def _encoded(request: WarmupRequest) -> bytes:
    spec = _field(_NAME, request.model.encode()) + _field(_SIGNATURE, request.signature.encode())
    message = _field(_MODEL_SPEC, spec)
    for name, value in request.inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        message += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, message))


def _decoded(record: bytes) -> WarmupRequest:
    log = dict(_fields(record))[_PREDICT_LOG]
    request = list(_fields(dict(_fields(log))[_REQUEST]))
    spec = dict(_fields(dict(request)[_MODEL_SPEC]))
    entries = [dict(_fields(value)) for number, value in request if number == _INPUTS]
    inputs = {
        entry[_KEY].decode(): tf.make_ndarray(_TensorProto.FromString(entry[_VALUE]))
        for entry in entries
    }
    return WarmupRequest(spec[_NAME].decode(), spec[_SIGNATURE].decode(), inputs)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return bytes([number << 3 | _LENGTH_DELIMITED]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message, which has no others."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        if key & 7 != _LENGTH_DELIMITED:
            raise ValueError(f"a field of wire type {key & 7}")
        length, position = _read_varint(message, position)
        if position + length > len(message):
            raise ValueError("a field that ends too early")
        yield key >> 3, message[position : position + length]
        position += length


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value, shift, position = value | (byte & 0x7F) << shift, shift + 7, position + 1
        if byte < 0x80:
            return value, position
