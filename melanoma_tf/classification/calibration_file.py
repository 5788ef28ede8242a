"""The content of `calibration.json`, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from melanoma_tf.core.errors import MelanomaError


def check_calibration(payload: Any, where: str) -> dict[str, Any]:
    """Check the JSON values of a calibration, as `calibrate` writes them.

    Args:
        payload: the values.
        where: how errors name them.

    Returns:
        The same values.

    Raises:
        MelanomaError: a value is missing, or of another type or range.
    """
    if not isinstance(payload, dict) or "model_sha256" not in payload:
        raise MelanomaError(f"{where}: expected a calibration; found other JSON")
    temperature: Any = payload.get("temperature")
    if not _is_number(temperature) or temperature <= 0:
        raise MelanomaError(
            f"{where}: expected a finite temperature above 0; found {temperature!r:.80}"
        )
    _require(payload, "class_names", _are_names, "a list of printable class names", where)
    _require(payload, "model_sha256", _is_text, "a SHA-256", where)
    names = payload["class_names"]
    for key in ("thresholds", "thresholds_raw"):
        _require(
            payload,
            key,
            lambda value: are_thresholds(value, names),
            f"thresholds of {', '.join(names):.200}, each from 0 to 1 or null,",
            where,
        )
    _require(payload, "fitted_on", _is_description, "a description of images", where)
    return payload


def _require(
    payload: dict[str, Any], key: str, holds: Callable[[Any], bool], words: str, where: str
) -> None:
    value = payload.get(key)
    if not holds(value):
        raise MelanomaError(f"{where}: expected {words} as {key}; found {value!r:.80}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _are_names(value: Any) -> bool:
    return _are_texts(value) and all(map(str.isprintable, value))


def are_thresholds(value: Any, names: list[str]) -> bool:
    """Tell whether a value holds thresholds by class and sensitivity, each a number or None.

    A score is a probability, next to which a threshold lies.
    """
    return (
        isinstance(value, dict)
        and set(value) == set(names)
        and all(isinstance(row, dict) for row in value.values())
        and all(
            each is None or (_is_number(each) and -0.01 <= each <= 1)
            for row in value.values()
            for each in row.values()
        )
    )


def _is_description(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("split", "purify", "images_sha256"))
        and all(
            isinstance(value.get(key), int) and not isinstance(value[key], bool) and value[key] >= 0
            for key in ("n", "tta")
        )
        and isinstance(value.get("n_per_class"), dict)
        and _are_texts(value.get("records"))
    )
