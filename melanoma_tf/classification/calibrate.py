"""`calibration.json`: a run's temperature and thresholds, fitted on images it did not train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibration_file import check_calibration
from melanoma_tf.classification.evaluation_settings import BIAS_CORRECTED, TEMPERATURE
from melanoma_tf.classification.predict_views import ViewLogits, images_sha256, view_logits
from melanoma_tf.core.arrays import check_whole
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import public_names, read_checked_json, sha256, write_checked_json
from melanoma_tf.core.outputs import refuse_existing_file
from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.operating_points import choose_thresholds
from melanoma_tf.evaluation.temperature import (
    LARGEST_TEMPERATURE,
    LEAST_TEMPERATURE,
    LogitScale,
    Temperature,
    fit_bias_corrected,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
)
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.job import Log
from melanoma_tf.training.run_record import weights_file

FILE = "calibration.json"


def calibrate(
    run_dir: Path,
    records: RecordsLike,
    inputs: pipeline.ClassifierInputs,
    *,
    split: str = "validation",
    views: int = 1,
    method: str = TEMPERATURE,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fit a finished run's temperature and thresholds, and write them into its folder.

    Args:
        run_dir: a finished classifier run.
        records: folders with the run's classes; of folds, see `classification.folds`.
        inputs: how the network sees images.
        split: whose images are fitted to: not those of the training, and not the test split,
            which the thresholds shall be carried over to.
        views: see `images.views.dihedral_views`; each counts as an image in the fit.
        method: `temperature`, or `bias-corrected`, which fits a bias of each class, too.
        overwrite: replace a calibration that is there.

    Returns:
        The content of `calibration.json`, see `docs/evaluation.md`.

    Raises:
        MelanomaError: no images in the split, or, with biases, of a class; or a calibration that
            is there.
    """
    refuse_existing_file(run_dir / FILE, overwrite)
    records = RecordSet.read(records)
    batches = pipeline.evaluation_batches(records, split, inputs)
    with records.damage_named():
        seen = view_logits(load_classifier(run_dir), batches, views)
    fitted, biases = _fit(seen, method, records.class_names)
    raw = probabilities(seen.logits)
    calibrated = probabilities(seen.logits, LogitScale(fitted.value, biases))
    payload = {
        "temperature": fitted.value,
        "at_bound": fitted.at_bound,
        "bounds": [LEAST_TEMPERATURE, LARGEST_TEMPERATURE],
        **({"biases": dict(zip(records.class_names, biases))} if biases else {}),
        "thresholds": choose_thresholds(seen.labels, calibrated, records.class_names),
        "thresholds_raw": choose_thresholds(seen.labels, raw, records.class_names),
        "raw": reliability(raw, seen.labels, records.class_names),
        "calibrated": reliability(calibrated, seen.labels, records.class_names),
        "fitted_on": {
            **_fitted_images(records, split, seen),
            "tta": views,
            "purify": inputs.test_purification,
        },
        "class_names": list(records.class_names),
        "model_sha256": sha256(weights_file(run_dir)),
    }
    refuse_existing_file(run_dir / FILE, overwrite)  # Another one may have ended meanwhile.
    write_checked_json(run_dir / FILE, payload)
    return payload


def _fit(
    seen: ViewLogits, method: str, class_names: tuple[str, ...]
) -> tuple[Temperature, tuple[float, ...]]:
    if method == BIAS_CORRECTED:
        return fit_bias_corrected(seen.logits, seen.labels, class_names)
    return fit_temperature(seen.logits, seen.labels), ()


def calibrate_trained(
    run_dir: Path,
    records: RecordSet,
    inputs: pipeline.ClassifierInputs,
    log: Log,
) -> None:
    """Calibrate a run that has just finished on the images that its best epoch was chosen by.

    A calibration that the model has already, as after resuming a finished run, stays.
    """
    path = run_dir / FILE
    earlier = read_checked_json(path) if path.is_file() else None
    model = sha256(weights_file(run_dir))
    if isinstance(earlier, dict) and earlier.get("model_sha256") == model:
        log(f"{path} belongs to this model already, and stays")
        return
    chosen = records.with_validation()
    if chosen is None:
        log("warning: no validation split; probabilities stay as they are, uncalibrated")
        return
    log(summary(calibrate(run_dir, chosen, inputs, overwrite=True)))


def summary(calibration: dict[str, Any]) -> str:
    """One line on what `calibrate` returned."""
    bound, biased = calibration["at_bound"], "biases" in calibration
    reasons = {"least": "every image is classified correctly", "largest": "no better than guessing"}
    at_bound = f" (the {bound} allowed{'' if biased else f': {reasons[bound]}'})" if bound else ""
    raw, fitted, on = (calibration[name] for name in ("raw", "calibrated", "fitted_on"))
    changes = ", ".join(
        f"{name.replace('_', ' ')} {raw[name]:.3f} -> {fitted[name]:.3f}"
        for name in ("negative_log_likelihood", "expected_calibration_error")
    )
    biases = ", ".join(
        f"{name} {bias:+.3f}" for name, bias in calibration.get("biases", {}).items()
    )
    return (
        f"temperature {calibration['temperature']:.3f}{at_bound}"
        f"{biases and f', biases {biases}'}, fitted on {on['n']} {on['split']} images; {changes}"
    )


def read_calibration(run_dir: Path) -> dict[str, Any] | None:
    """A run's calibration, None where it has none.

    Raises:
        MelanomaError: the file is broken, or belongs to another model than the run's.
    """
    path = Path(run_dir) / FILE
    if not path.is_file():
        return None
    payload = check_calibration(read_checked_json(path), str(path))
    weights = weights_file(run_dir)
    if payload["model_sha256"] != sha256(weights):
        check_whole(weights)  # Damage is no other model.
        raise MelanomaError(
            f"{path}: expected the calibration of the weights there; found one of another "
            "model: fit it again with calibrate --overwrite"
        )
    return payload


def reliability(
    scores: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]
) -> dict[str, float]:
    """Calibration metrics of probabilities, float64 `(images, classes)`."""
    scored = classification_scores(labels, scores, class_names)
    return {
        "negative_log_likelihood": negative_log_likelihood(scores, labels),
        "expected_calibration_error": scored["expected_calibration_error"],
        "brier_score": scored["brier_score"],
    }


def _fitted_images(records: RecordSet, split: str, seen: ViewLogits) -> dict[str, Any]:
    counts = np.bincount(seen.labels, minlength=len(records.class_names)).tolist()
    return {
        "records": public_names(records.folders),
        "split": split,
        "n": len(seen.keys),
        "n_per_class": dict(zip(records.class_names, counts)),
        "images_sha256": images_sha256(seen.names()),
    }
