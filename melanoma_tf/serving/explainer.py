"""Saliency maps of an exported classifier."""

from __future__ import annotations

from pathlib import Path

from melanoma_tf.classification.explain import Explainer
from melanoma_tf.classification.explanation_data import View
from melanoma_tf.classification.module import INPUT, SALIENCY
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.exported import METADATA
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.training.run_record import run_from_json


def load_exported(folder: Path, *, shown_px: int = 256) -> Explainer:
    """The explainer of an exported classifier.

    Args:
        folder: see `serving.load`.
        shown_px: side of the images shown.

    Raises:
        MelanomaError: see `serving.load_classifier`; or the model was exported without the
            signature `saliency`.
    """
    exported = load_classifier(folder).exported
    if SALIENCY not in exported.signatures:
        raise MelanomaError(
            f"{folder}: expected a model with the signature {SALIENCY!r}; it has "
            f"{', '.join(exported.signatures)}. Export the run again, or give --run-dir"
        )
    return Explainer(
        str(folder),
        tuple(exported.described("class_names")),
        View(
            exported.described("preprocessing", "centre_crop_px"),
            exported.described("preprocessing", "short_side_px"),
            shown_px,
        ),
        lambda images: exported.signatures[SALIENCY](**{INPUT: images}),
        run_from_json(
            exported.described("training"), CLASSIFIER, f"{exported.folder / METADATA}: training"
        ),
    )
