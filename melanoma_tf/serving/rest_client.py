"""Requests to a model server over REST: TensorFlow Serving's Predict in row form."""

from __future__ import annotations

import base64
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from melanoma_tf.serving.address import Ask, ServedModel, ServerError
from melanoma_tf.serving.settings import ServerSettings

# Not ready yet, overloaded, or behind a proxy that has no server at the moment.
_TRY_AGAIN = (429, 502, 503, 504)
_BACKOFF_SECONDS = 0.5


def predict_url(model: ServedModel) -> str:
    """The address of a model's Predict method."""
    path = f"{model.scheme}://{model.host}/v1/models/{model.name}"
    if model.version is not None:
        path += f"/versions/{model.version}"
    if model.label is not None:
        path += f"/labels/{model.label}"
    return f"{path}:predict"


def predict_body(images: list[bytes]) -> dict[str, Any]:
    """The body of a Predict request: encoded images as base64."""
    return {"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}


def rest_ask(model: ServedModel, settings: ServerSettings) -> Ask:
    """Return a function that asks a model over REST.

    It raises `ServerError` where the server cannot be reached, does not answer in time after all
    retries, or refuses the request. It may be called from several threads.
    """
    session = requests.Session()
    retries = Retry(
        total=settings.retries,
        backoff_factor=_BACKOFF_SECONDS,
        status_forcelist=_TRY_AGAIN,
        allowed_methods=None,  # A prediction may be asked for twice.
        raise_on_status=False,
    )
    adapter = HTTPAdapter(max_retries=retries, pool_maxsize=settings.concurrency)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    url = predict_url(model)

    def ask(images: list[bytes]) -> list[dict[str, Any]]:
        try:
            response = session.post(url, json=predict_body(images), timeout=settings.timeout)
            answer = response.json()
        except requests.exceptions.JSONDecodeError:
            raise ServerError(
                f"{url}: expected JSON; found other text, HTTP status {response.status_code}"
            ) from None
        except requests.exceptions.RequestException as error:
            raise ServerError(f"{url}: expected a model server; found {_reason(error)}") from None
        if not response.ok or not isinstance(answer, dict):
            reason = answer.get("error", "") if isinstance(answer, dict) else "other JSON"
            reason = " ".join(str(reason).split())
            raise ServerError(f"{url}: HTTP status {response.status_code}: {reason}")
        rows = answer.get("predictions")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ServerError(f"{url}: expected predictions by name; found other JSON")
        return rows

    return ask


def _reason(error: requests.exceptions.RequestException) -> str:
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return f"{type(inner or error).__name__}: " + " ".join(str(inner or error).split())
