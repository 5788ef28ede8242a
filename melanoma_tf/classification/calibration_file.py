"""The content of `calibration.json`: checked, and as a scale of logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.temperature import UNSCALED, LogitScale


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
    if "biases" in payload:
        _check_biases(payload, where)
    return payload


def scale_of(
    calibration: dict[str, Any] | None, prevalence: dict[str, float] | None = None
) -> LogitScale:
    """Return the scale of logits that a checked calibration describes.

    Args:
        calibration: None for logits as they are.
        prevalence: fraction of each class that the probabilities shall assume; None for that of
            the images that the calibration was fitted on. It needs one with `biases`.
    """
    if calibration is None:
        return UNSCALED
    names, biases = calibration["class_names"], calibration.get("biases", {})
    scale = LogitScale(
        float(calibration["temperature"]), tuple(float(biases[name]) for name in names if biases)
    )
    if prevalence is None:
        return scale
    counts = calibration["fitted_on"]["n_per_class"]
    total = sum(counts[name] for name in names)
    return scale.at_prevalence(
        [counts[name] / total for name in names], [prevalence[name] for name in names]
    )


def require_biases(calibration: dict[str, Any] | None, run: str) -> None:
    """Refuse to change the prevalence of a run of which it is not known.

    Raises:
        MelanomaError: the run has no calibration, or one without biases.
    """
    if calibration is None or "biases" not in calibration:
        found = "none" if calibration is None else "one temperature"
        raise MelanomaError(
            f"{run}: expected a bias-corrected calibration with --prevalence; found {found}: "
            "fit it with calibrate --method bias-corrected"
        )


def _check_biases(payload: dict[str, Any], where: str) -> None:
    names = payload["class_names"]
    listed = f"{', '.join(names):.200}"
    _require(
        payload,
        "biases",
        lambda value: _has_each(value, names, _is_number),
        f"a finite bias of each of {listed}",
        where,
    )
    _require(
        payload["fitted_on"],
        "n_per_class",
        lambda value: _has_each(value, names, _is_count),
        f"a number of images above 0 of each of {listed}",
        where,
    )


def _has_each(value: Any, names: list[str], holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and set(value) == set(names) and all(map(holds, value.values()))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value > 0


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
    return _has_each(value, names, _is_row)


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and all(
        each is None or (_is_number(each) and -0.01 <= each <= 1) for each in value.values()
    )


def _is_description(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("split", "purify", "images_sha256"))
        and all(_is_whole(value.get(key)) for key in ("n", "tta"))
        and isinstance(value.get("n_per_class"), dict)
        and _are_texts(value.get("records"))
    )
