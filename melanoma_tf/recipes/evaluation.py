"""Score a classifier's run on record folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.errors import MelanomaError
from melanoma_tf.evaluation.metrics import classification_scores
from melanoma_tf.evaluation.predictions import Predictions, write_predictions
from melanoma_tf.files import refuse_existing, write_json
from melanoma_tf.pipeline import classifier as pipeline
from melanoma_tf.recipes.classifier import KIND, classifier_inputs
from melanoma_tf.recipes.report import write_report
from melanoma_tf.records.manifest import read_manifest


def evaluate_classifier(
    run_dir: Path,
    records: Path,
    *,
    split: str = "test",
    output: Path | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Score a finished run on a split of a record folder.

    Writes `predictions.csv` (softmax probabilities) and `metrics.json` into `output`.

    Args:
        run_dir: a finished classifier run.
        records: a record folder of the same taxonomy.
        split: `train`, `validation` or `test`.
        output: folder for the two files; the run folder by default.
        batch_size: images in a batch.
        overwrite: replace files that are there.

    Returns:
        The content of `metrics.json`.

    Raises:
        MelanomaError: unfinished run or records, another taxonomy, an empty split, existing files.
    """
    output = output or run_dir
    config = training.read_config(run_dir, KIND)
    manifest = read_manifest(records)
    if list(manifest.class_names) != config["class_names"]:
        raise MelanomaError(
            f"{run_dir} was trained on the classes {', '.join(config['class_names'])}; "
            f"{records} has {', '.join(manifest.class_names)}"
        )
    for name in ("predictions.csv", "metrics.json", "report.html"):
        refuse_existing(output / name, overwrite)
    inputs = classifier_inputs(config, batch_size)
    batches = pipeline.evaluation_batches(records, split, inputs)
    predictions = predict_batches(training.load_model(run_dir), batches, manifest.class_names)
    assert predictions.labels is not None  # Records always have them.
    metrics = {
        "split": split,
        "records": str(records),
        **classification_scores(predictions.labels, predictions.scores, manifest.class_names),
    }
    write_predictions(output / "predictions.csv", predictions)
    write_json(output / "metrics.json", metrics)
    write_report(output, run_dir, records, split, predictions, metrics, overwrite=overwrite)
    return metrics


def predict_batches(
    model: keras.Model, batches: tf.data.Dataset, class_names: tuple[str, ...]
) -> Predictions:
    """Softmax probabilities for the batches of `pipeline.evaluation_batches`."""

    @tf.function(reduce_retracing=True)
    def probabilities(images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(model(images, training=False))

    scores, labels = [], []
    keys: list[str] = []
    sources: list[str] = []
    patients: list[str] = []
    for batch in batches:
        scores.append(probabilities(batch["image"]).numpy())
        labels.append(batch["label"].numpy())
        for column, name in ((keys, "image/key"), (sources, "source"), (patients, "patient/id")):
            column.extend(text.decode("utf-8") for text in batch[name].numpy())
    if len(set(keys)) < len(keys):  # Two sources may hold an image of the same name.
        keys = [f"{source}/{key}" for source, key in zip(sources, keys)]
    return Predictions(
        image_ids=tuple(keys),
        scores=np.concatenate(scores).astype(np.float64),
        class_names=tuple(class_names),
        labels=np.concatenate(labels),
        groups=tuple(patients) if any(patients) else None,
    )
