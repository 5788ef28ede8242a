"""Operating points in `metrics.json`: of thresholds chosen on the scored images, or on others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.classification.calibration_file import are_thresholds, check_calibration
from melanoma_tf.core.errors import MelanomaError, shown
from melanoma_tf.core.files import public_name, read_checked_json
from melanoma_tf.evaluation.operating_points import Points, at_thresholds, choose_thresholds
from melanoma_tf.evaluation.prevalence import shown_prevalence
from melanoma_tf.evaluation.score import LabelledPredictions, groups_of

# Conditions under which thresholds are chosen; under others they may not hold.
_CONDITIONS = ("calibrated", "tta", "purify", "combine", "prevalence")


@dataclass(frozen=True)
class Thresholds:
    """Thresholds and their origin.

    Attributes:
        file: the file that holds them.
        by_class: class name -> `"0.82"` -> threshold, None where undefined.
        chosen_on: `records`, `split`, `n`, and those of `_CONDITIONS` that are known.
        images_sha256: hash of the names of the images they were chosen on.
    """

    file: Path
    by_class: dict[str, dict[str, float | None]]
    chosen_on: dict[str, Any]
    images_sha256: str


def in_sample_points(labelled: LabelledPredictions, rounds: int, seed: int) -> Points:
    """Compute the operating points of thresholds chosen on the scored images: optimistic."""
    predictions = labelled.predictions
    chosen = choose_thresholds(labelled.labels, predictions.scores, predictions.class_names)
    return _points(labelled, chosen, rounds, seed)


def transferred_points(
    source: Thresholds | None,
    labelled: LabelledPredictions,
    here: dict[str, Any],
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    """Compute the operating points of thresholds chosen on other images.

    Args:
        source: the thresholds, or None.
        labelled: the images scored.
        here: how they are scored, `_CONDITIONS` and `images_sha256`.
        rounds: rounds of the bootstrap.
        seed: seed of the bootstrap.

    Returns:
        `carried_over`, the points, or None; and `carried_over_from`: `file`, `chosen_on`,
        `same_images` (the thresholds were chosen on the scored images) and `differences`
        (conditions that differ, as `tta 1, here 8`), or None.
    """
    if source is None:
        return {"carried_over": None, "carried_over_from": None}
    differences = [
        f"{name} {_shown(name, source.chosen_on[name])}, here {_shown(name, here[name])}"
        for name in _CONDITIONS
        if name in source.chosen_on and source.chosen_on[name] != here[name]
    ]
    return {
        "carried_over": _points(labelled, source.by_class, rounds, seed),
        "carried_over_from": {
            "file": public_name(source.file),
            "chosen_on": source.chosen_on,
            "same_images": source.images_sha256 == here["images_sha256"],
            "differences": differences,
        },
    }


def thresholds_of(file: Path, calibration: dict[str, Any], calibrated: bool) -> Thresholds:
    """The thresholds of a `calibration.json`, for calibrated or raw probabilities."""
    fitted_on = dict(calibration["fitted_on"])
    images = fitted_on.pop("images_sha256")
    by_class = calibration["thresholds" if calibrated else "thresholds_raw"]
    chosen_on = {**fitted_on, "calibrated": calibrated, "prevalence": None}
    return Thresholds(file, by_class, chosen_on, images)


def read_thresholds(file: Path, here: dict[str, Any]) -> Thresholds:
    """The thresholds of a `calibration.json`, or those chosen in a `metrics.json`.

    Raises:
        MelanomaError: the file is neither, is of ranks, or is of other classes.
    """
    payload = read_checked_json(file)
    try:
        if "fitted_on" in payload:
            check_calibration(payload, str(file))
            names, found = payload["class_names"], thresholds_of(file, payload, here["calibrated"])
        else:
            names, found = payload["classes"], _chosen_in(file, payload)
    except (KeyError, TypeError, AttributeError):
        raise MelanomaError(
            f"{file}: expected a calibration.json, or the metrics.json of evaluate; "
            "found other JSON"
        ) from None
    if names != here["classes"]:
        raise MelanomaError(
            f"{file}: expected thresholds of {', '.join(here['classes'])}; found {shown(names)}"
        )
    if not are_thresholds(found.by_class, names):
        raise MelanomaError(f"{file}: expected thresholds from 0 to 1 or null; found others")
    return found


def _chosen_in(file: Path, metrics: dict[str, Any]) -> Thresholds:
    if metrics["scores"] == "ranks":
        raise MelanomaError(f"{file}: expected thresholds of probabilities; found those of ranks")
    by_class = {
        name: {wanted: point and point["threshold"] for wanted, point in points.items()}
        for name, points in metrics["operating_points"]["chosen_on_this_set"].items()
    }
    about = ("records", "split", "n", *_CONDITIONS)
    earlier = {"prevalence": None, **metrics}  # Files from before the option lack it.
    return Thresholds(
        file, by_class, {name: earlier[name] for name in about}, metrics["images_sha256"]
    )


def _shown(condition: str, value: Any) -> str:
    return shown_prevalence(value) if condition == "prevalence" else str(value)


def _points(
    labelled: LabelledPredictions,
    by_class: dict[str, dict[str, float | None]],
    rounds: int,
    seed: int,
) -> Points:
    return at_thresholds(
        labelled.labels,
        labelled.predictions.scores,
        labelled.predictions.class_names,
        by_class,
        groups_of(labelled)[0],
        rounds=rounds,
        seed=seed,
    )
