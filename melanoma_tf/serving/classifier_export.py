"""A trained classifier -> a version folder that TensorFlow Serving loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.classification.cross_validation import ClassifierRecord
from melanoma_tf.core.files import public_name, write_atomically, write_json
from melanoma_tf.evaluation.operating_points import SENSITIVITIES
from melanoma_tf.images.limits import LARGEST_ASPECT
from melanoma_tf.serving.classification_graph import ClassificationGraph, ClassifierParts
from melanoma_tf.serving.model_card import (
    calibration_section,
    data_section,
    limits_section,
    metadata,
    scores_section,
    without_folders,
)
from melanoma_tf.serving.saving import save_signatures
from melanoma_tf.serving.signatures import (
    CLASSIFY,
    DEFAULT,
    DISCLAIMER,
    EXPLAIN,
    METADATA,
    MODEL_CARD,
    PURIFY,
    SEGMENT,
    TENSOR,
    above_threshold,
)

_CLASSIFY_METHOD = "tensorflow/serving/classify"


def thresholds_of(calibration: dict[str, Any] | None) -> dict[str, list[float | None]]:
    """The thresholds of a calibration by sensitivity, in the order of its classes."""
    if calibration is None:
        return {}
    names = calibration["class_names"]
    return {
        f"{sensitivity:g}": [calibration["thresholds"][name][f"{sensitivity:g}"] for name in names]
        for sensitivity in SENSITIVITIES
    }


def write_classifier(
    folder: Path,
    name: str,
    parts: ClassifierParts,
    *,
    record: ClassifierRecord,
    metrics: dict[str, Any] | None,
    calibration: dict[str, Any] | None,
    prevalence: dict[str, float] | None = None,
) -> None:
    """Write a SavedModel of stock TensorFlow ops, with card and metadata.

    Args:
        folder: the version folder.
        name: of the model.
        parts: what the model is made of.
        record: of the run.
        metrics: the run's `metrics.json`, where it was evaluated.
        calibration: the run's `calibration.json`, where it has one.
        prevalence: what the probabilities assume; None for that of the fitted images.
    """
    graph = ClassificationGraph(parts)
    signatures = save_signatures(graph, _signatures(graph), folder)
    _set_classify_method(folder)
    inputs = parts.inputs
    described = {
        **metadata(name, "classification", signatures, record),
        "preprocessing": {
            "short_side_px": inputs.short_side_px,
            "centre_crop_px": inputs.image_size_px,
            "purified": inputs.test_purification,
            "max_megapixels": parts.max_megapixels,
            "largest_aspect": LARGEST_ASPECT,
        },
        "metrics": metrics,
        "calibration": calibration,
        "prevalence": prevalence,
        "operating_points": {
            above_threshold(sensitivity): dict(zip(parts.class_names, row))
            for sensitivity, row in parts.thresholds.items()
        },
    }
    write_json(folder / METADATA, without_folders(described))
    calibrated = calibration_section(calibration, parts.inputs.test_purification, prevalence)
    card = _model_card(name, parts, record, metrics, calibrated)
    write_atomically(folder / MODEL_CARD, card)


def _signatures(graph: ClassificationGraph) -> dict[str, Any]:
    found: dict[str, Any] = {
        DEFAULT: graph.serve,
        TENSOR: graph.serve_tensor,
        CLASSIFY: graph.serve_examples,
    }
    if graph.explains:
        found[EXPLAIN] = graph.explain
    if graph.segmentation is not None:
        found[SEGMENT] = graph.segmentation.segment
    if graph.purification is not None:
        found[PURIFY] = graph.purification.purify
    return found


def _set_classify_method(folder: Path) -> None:
    """Let TensorFlow Serving offer the signature by its Classify method, not only by Predict."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name(signature_key=CLASSIFY, method_name=_CLASSIFY_METHOD)
    updater.save()


def _model_card(
    name: str,
    parts: ClassifierParts,
    record: ClassifierRecord,
    metrics: dict[str, Any] | None,
    calibrated: str,
) -> str:
    chosen, network = record.settings, record.settings.network
    purification = parts.inputs.test_purification
    return f"""# {name}

{DISCLAIMER}

## Intended use
Research on dermoscopic images: ranking and comparing lesions by class probability.

## Input and output
Encoded dermoscopic images (JPEG, PNG, or BMP of 24 bits; one lesion in the middle), turned upright
by their EXIF orientation. One probability for each of: {", ".join(record.class_names)} (taxonomy
{record.taxonomy}). An image that cannot be read gets a status and a message, and no probabilities.
`metadata.json` describes every signature and output.

## Network
{network.backbone} at {network.image_size_px} px, initial weights: {public_name(network.weights)};
{chosen.epochs} epochs, batch {chosen.batch_size}, {chosen.optimization.optimizer} at
{chosen.optimization.learning_rate}, seed {chosen.seed}. Images are purified by: {purification}.
`metadata.json` has every setting.

## Training data
{data_section(record)}

## Calibration and thresholds
{calibrated}

## Scores
{scores_section(metrics)}

## Limits
{limits_section(parts.max_megapixels)}
"""
