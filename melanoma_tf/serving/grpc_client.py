"""Requests to a model server over gRPC: TensorFlow Serving's PredictionService."""

from __future__ import annotations

import json
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.address import Ask, ServedModel, ServerError
from melanoma_tf.serving.settings import ServerSettings
from melanoma_tf.serving.signatures import DEFAULT, IMAGES

_SERVICE = "tensorflow.serving.PredictionService"
_MOST_ATTEMPTS = 5  # gRPC itself allows no more.


def predict_request(model: ServedModel, images: list[bytes]) -> Any:
    """A `PredictRequest` of encoded images to a model's default signature."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model.name, DEFAULT
    if model.version is not None:
        request.model_spec.version.value = model.version
    if model.label is not None:
        request.model_spec.version_label = model.label
    request.inputs[IMAGES].CopyFrom(tf.make_tensor_proto(images, tf.string, [len(images)]))
    return request


def grpc_ask(model: ServedModel, settings: ServerSettings) -> Ask:
    """Return a function that asks a model over gRPC; see `rest_client.rest_ask`.

    Raises:
        MelanomaError: the package `tensorflow-serving-api` is not installed.
    """
    try:
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc
    except ImportError as error:
        raise MelanomaError(
            f"expected the package tensorflow-serving-api for {model}; found {error}. Install "
            "melanoma-tf[serving], or use http://"
        ) from None
    channel = grpc.insecure_channel(model.host, options=_options(settings))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def ask(images: list[bytes]) -> list[dict[str, Any]]:
        request = predict_request(model, images)
        try:
            response = stub.Predict(request, timeout=settings.timeout)
        except grpc.RpcError as error:
            code = error.code().name
            detail = " ".join(str(error.details()).split())
            raise ServerError(f"{model}: {code}: {detail}") from None
        return rows_of(response)

    return ask


def rows_of(response: Any) -> list[dict[str, Any]]:
    """The outputs of a `PredictResponse` for each image."""
    import tensorflow as tf

    arrays = {name: tf.make_ndarray(value) for name, value in response.outputs.items()}
    count = min((len(array) for array in arrays.values() if array.ndim), default=0)
    return [{name: array[row] for name, array in arrays.items()} for row in range(count)]


def _options(settings: ServerSettings) -> list[tuple[str, Any]]:
    attempts = min(settings.retries + 1, _MOST_ATTEMPTS)
    method: dict[str, Any] = {"name": [{"service": _SERVICE}]}
    if attempts > 1:
        method["retryPolicy"] = {
            "maxAttempts": attempts,
            "initialBackoff": "0.5s",
            "maxBackoff": "10s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
    return [
        ("grpc.service_config", json.dumps({"methodConfig": [method]})),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
    ]
