"""`calibration.json`: a run's temperature and thresholds, fitted on images it did not train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibration_file import check_calibration
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
        overwrite: replace a calibration that is there.

    Returns:
        The content of `calibration.json`: `temperature`, `at_bound` (None, or which of `bounds`
        the search ended at), `bounds`; `thresholds` by class and sensitivity for probabilities
        under that temperature, and `thresholds_raw` without it, None where a class has no
        examples; `raw` and `calibrated`, the `negative_log_likelihood`,
        `expected_calibration_error` and `brier_score` on the fitted images; `fitted_on`
        (`records`, `split`, `n`, `n_per_class`, `tta`, `purify`, `images_sha256`); `class_names`;
        `model_sha256`.

    Raises:
        MelanomaError: no images in the split, or a calibration that is there.
    """
    refuse_existing_file(run_dir / FILE, overwrite)
    records = RecordSet.read(records)
    batches = pipeline.evaluation_batches(records, split, inputs)
    with records.damage_named():
        seen = view_logits(load_classifier(run_dir), batches, views)
    fitted = fit_temperature(seen.logits, seen.labels)
    raw, calibrated = (probabilities(seen.logits, value) for value in (1.0, fitted.value))
    payload = {
        "temperature": fitted.value,
        "at_bound": fitted.at_bound,
        "bounds": [LEAST_TEMPERATURE, LARGEST_TEMPERATURE],
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
    at_bound = {
        "least": " (the least allowed: every image is classified correctly)",
        "largest": " (the largest allowed: no better than guessing)",
    }.get(calibration["at_bound"], "")
    raw, fitted, on = (calibration[name] for name in ("raw", "calibrated", "fitted_on"))
    changes = ", ".join(
        f"{name.replace('_', ' ')} {raw[name]:.3f} -> {fitted[name]:.3f}"
        for name in ("negative_log_likelihood", "expected_calibration_error")
    )
    return (
        f"temperature {calibration['temperature']:.3f}{at_bound}, fitted on {on['n']} "
        f"{on['split']} images; {changes}"
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
