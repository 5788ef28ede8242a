"""Saliency maps of an exported classifier."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.classification.explain import Explainer
from melanoma_tf.classification.explanation_data import View
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.signatures import EXPLAIN, IMAGES, METADATA, SALIENCY
from melanoma_tf.training.run_record import run_from_json


def load_exported(folder: Path, *, shown_px: int = 256) -> Explainer:
    """The explainer of an exported classifier.

    Args:
        folder: see `serving.load`.
        shown_px: side of the images shown.

    Raises:
        MelanomaError: see `serving.load_classifier`; or the model was exported without the
            signature `explain`, or without saliency.
    """
    exported = load_classifier(folder).exported
    explain = exported.signatures.get(EXPLAIN)
    if explain is None or SALIENCY not in explain.structured_outputs:
        raise MelanomaError(
            f"{folder}: expected a model that explains by saliency; found one exported without. "
            "Export the run again, or give --run-dir"
        )
    return Explainer(
        str(folder),
        tuple(exported.described("class_names")),
        View(
            exported.described("preprocessing", "centre_crop_px"),
            exported.described("preprocessing", "short_side_px"),
            shown_px,
        ),
        lambda images: explain(**{IMAGES: images}),
        run_from_json(
            exported.described("training"), CLASSIFIER, f"{exported.version / METADATA}: training"
        ),
    )
