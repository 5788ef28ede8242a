"""A trained classifier -> a folder that TensorFlow Serving loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.classification.cross_validation import ClassifierRecord
from melanoma_tf.classification.module import (
    CLASSES,
    INPUT,
    PROBABILITIES,
    SALIENCY,
    ClassifierModule,
    Prepare,
)
from melanoma_tf.core.files import write_atomically, write_json
from melanoma_tf.core.keras import keras
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.serving.warmup import write_warmup

VERSION = "1"
DISCLAIMER = "Research software. Not a medical device: not for diagnosis or treatment."
DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def export_classifier(
    model: keras.Model,
    output: Path,
    *,
    record: ClassifierRecord,
    prepare: Prepare,
    preprocessing: dict[str, Any],
    metrics: dict[str, Any] | None,
    calibration: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a SavedModel of stock TensorFlow ops, with warm-up requests, card and metadata.

    Its default signature takes `images`, string `(n,)`: JPEG or PNG bytes of any sizes. It returns
    `probabilities`, float32 `(n, classes)`, and `classes`, string `(n, classes)`: the names in the
    order of the probabilities. A second signature, `saliency`, returns these and `saliency`,
    float32 `(n, size, size)` in [0, 1]: VisualBackProp of the square in the middle of each image.

    Args:
        model: from RGB in [0, 255] to logits.
        output: `saved_models/NAME`; the model lands in its sub-folder `1`.
        record: of the run.
        prepare: encoded image, string scalar -> uint8 `(size, size, 3)`; traced into the model.
        preprocessing: what `prepare` does, for `metadata.json`.
        metrics: the run's `metrics.json`, where it was evaluated.
        calibration: the run's `calibration.json`, where it has one: its temperature becomes part
            of the graph, so that served probabilities are those of `evaluate`; the whole of it,
            thresholds included, is in `metadata.json`.
        overwrite: replace a model that is there.

    Raises:
        MelanomaError: `output` exists.
    """
    temperature = float(calibration["temperature"]) if calibration else 1.0
    size_px = record.settings.network.image_size_px
    served = ClassifierModule(model, record.class_names, size_px, prepare, temperature)
    with published_folder(output, overwrite=overwrite) as folder:
        version_dir = folder / VERSION
        signatures = {DEFAULT: served.serve, SALIENCY: served.explain}
        tf.saved_model.save(served, str(version_dir), signatures=signatures)
        write_warmup(version_dir, output.name, INPUT, [grey_image(size_px)])
        metadata = _metadata(output.name, record, preprocessing, metrics)
        write_json(folder / "metadata.json", {**metadata, "calibration": calibration})
        card = _model_card(output.name, record, metrics, calibration)
        write_atomically(folder / "model_card.md", card)


def grey_image(size_px: int) -> bytes:
    """A grey square as JPEG bytes: a request to warm a model up with."""
    return tf.io.encode_jpeg(np.full((size_px, size_px, 3), 128, np.uint8)).numpy()


def _metadata(
    name: str,
    record: ClassifierRecord,
    preprocessing: dict[str, Any],
    metrics: dict[str, Any] | None,
) -> dict[str, Any]:
    size, classes = record.settings.network.image_size_px, len(record.class_names)
    return {
        "name": name,
        "version": VERSION,
        "task": "classification",
        "tool": f"melanoma_tf {__version__}",
        "inputs": {INPUT: "string (n,): JPEG or PNG bytes"},
        "outputs": {
            PROBABILITIES: f"float32 (n, {classes})",
            CLASSES: f"string (n, {classes})",
        },
        "further_signatures": {
            SALIENCY: f"as above, and {SALIENCY}: float32 (n, {size}, {size}), VisualBackProp",
        },
        "class_names": list(record.class_names),
        "preprocessing": preprocessing,
        "training": record.to_json(),
        "metrics": metrics,
        "intended_use": DISCLAIMER,
    }


def _model_card(
    name: str,
    record: ClassifierRecord,
    metrics: dict[str, Any] | None,
    calibration: dict[str, Any] | None,
) -> str:
    sources = "\n".join(
        f"- {source}: {entry['licence']}. {entry['attribution']}"
        for source, entry in record.sources.items()
    )
    chosen, network = record.settings, record.settings.network
    return f"""# {name}

{DISCLAIMER}

## Intended use
Research on dermoscopic images: ranking and comparing lesions by class probability. It was not
validated on patients.

## Input and output
Encoded dermoscopic images (JPEG or PNG, one lesion in the middle). One probability for each of:
{", ".join(record.class_names)}. The signature `{SALIENCY}` also returns where the network looks
(VisualBackProp, one value for each pixel of the square that it sees).

## Network
{network.backbone} at {network.image_size_px} px, initial weights: {network.weights};
{chosen.epochs} epochs, batch {chosen.batch_size}, {chosen.optimization.optimizer} at
{chosen.optimization.learning_rate}, seed {chosen.seed}. `metadata.json` has every setting.

## Training data
{sources}

## Calibration and thresholds
{_calibration(calibration)}

## Scores
{_scores(metrics)}
"""


def _calibration(calibration: dict[str, Any] | None) -> str:
    if calibration is None:
        return "Probabilities are not calibrated."
    fitted_on, thresholds = calibration["fitted_on"], calibration["thresholds"]
    wanted = list(next(iter(thresholds.values())))
    table = [["class", *wanted], ["---"] * (len(wanted) + 1)]
    for name, row in thresholds.items():
        # Six digits: a threshold is at least 2e-6 away from the scores that it separates.
        table.append([name, *("-" if value is None else f"{value:.6f}" for value in row.values())])
    return "\n".join(
        [
            f"Logits are divided by {calibration['temperature']:.4f}, fitted on {fitted_on['n']} "
            f"images of split `{fitted_on['split']}`. A probability of at least the threshold "
            "reached this sensitivity on them; on other images it may not:",
            "",
            *(f"| {' | '.join(cells)} |" for cells in table),
        ]
    )


def _scores(metrics: dict[str, Any] | None) -> str:
    if metrics is None:
        return "Not evaluated before export."
    figures = {key: value for key, value in metrics.items() if key != "min_tpr"}
    rows = [f"- {key}: {value:.3f}" for key, value in figures.items() if isinstance(value, float)]
    records = ", ".join(metrics["records"])
    return "\n".join([f"Split `{metrics['split']}` of `{records}`:", *rows])
