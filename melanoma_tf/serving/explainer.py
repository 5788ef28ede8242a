"""What an exported classifier looks at."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.classification.explain import Explainer
from melanoma_tf.classification.explanation_data import View
from melanoma_tf.classification.module import INPUT, SALIENCY
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json
from melanoma_tf.serving.classifier_export import VERSION
from melanoma_tf.training.run_record import run_from_json


def load_exported(folder: Path, *, shown_px: int = 256) -> Explainer:
    """An exported classifier, `saved_models/NAME`.

    Raises:
        MelanomaError: there is none, or it was exported without the signature `saliency`.
    """
    version_dir = folder / VERSION
    if not (version_dir / "saved_model.pb").is_file():
        raise MelanomaError(
            f"expected an exported model at {folder}; found no {VERSION}/saved_model.pb"
        )
    path = folder / "metadata.json"
    metadata = read_json(path)
    if metadata.get("task") != "classification":
        raise MelanomaError(
            f"{folder}: expected a model for classification; found one for {metadata.get('task')}"
        )
    model = tf.saved_model.load(str(version_dir))
    if SALIENCY not in model.signatures:
        raise MelanomaError(
            f"{folder}: expected a model with the signature {SALIENCY!r}; it has "
            f"{', '.join(model.signatures)}. Export the run again, or give --run-dir"
        )
    seen = metadata["preprocessing"]
    return Explainer(
        str(folder),
        tuple(metadata["class_names"]),
        View(seen["centre_crop_px"], seen["short_side_px"], shown_px),
        # The model owns the variables that its signature only refers to.
        lambda images: model.signatures[SALIENCY](**{INPUT: images}),
        run_from_json(metadata["training"], CLASSIFIER, f"{path}: training"),
    )
