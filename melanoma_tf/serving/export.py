"""Export of finished runs of any exportable kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification import data as pipeline
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json
from melanoma_tf.core.outputs import refuse_existing
from melanoma_tf.segmentation.predict import load_segmenter
from melanoma_tf.segmentation.train import SEGMENTER
from melanoma_tf.serving.classifier_export import export_classifier
from melanoma_tf.serving.segmenter_export import export_segmenter
from melanoma_tf.training.run_record import read_run, run_kind


class _Prepare(tf.Module):
    """Preprocessing of an encoded image in an exported model, with the network that purifies."""

    def __init__(self, inputs: pipeline.ClassifierInputs):
        super().__init__(name="prepare")
        self._inputs, self._purifier = inputs, inputs.purify_image

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        """See `classification.data.central_view`."""
        return pipeline.central_view(encoded, self._inputs)


def _export_classifier(run_dir: Path, output: Path, *, overwrite: bool = False) -> None:
    """Export a finished run, see `serving.classifier_export.export_classifier`.

    Raises:
        MelanomaError: the run has not finished, or `output` exists.
    """
    record = read_run(run_dir, CLASSIFIER)
    refuse_existing(output, overwrite, [run_dir])
    evaluated = run_dir / "metrics.json"
    inputs = classifier_inputs(record.settings, batch_size=1)
    export_classifier(
        load_classifier(run_dir),
        output,
        record=record,
        prepare=_Prepare(inputs),
        preprocessing={
            "short_side_px": inputs.short_side_px,
            "purified": inputs.test_purification != "none" and inputs.test_purification,
            "centre_crop_px": inputs.image_size_px,
        },
        metrics=read_json(evaluated) if evaluated.is_file() else None,
        calibration=read_calibration(run_dir),
        overwrite=overwrite,
    )


def _export_segmenter(run_dir: Path, output: Path, *, overwrite: bool = False) -> None:
    """Export a finished run for TensorFlow Serving, see `serving.segmenter_export`.

    Raises:
        MelanomaError: the run has not finished, or `output` exists.
    """
    record = read_run(run_dir, SEGMENTER)
    refuse_existing(output, overwrite, [run_dir])
    export_segmenter(load_segmenter(run_dir), output, record=record, overwrite=overwrite)


_EXPORTS: dict[str, Callable[..., None]] = {
    CLASSIFIER.name: _export_classifier,
    SEGMENTER.name: _export_segmenter,
}


def export_run(run_dir: Path, output: Path, *, overwrite: bool = False) -> None:
    """Write a finished run as a SavedModel, see the modules of `serving`.

    Raises:
        MelanomaError: no run, one that has not finished or of which no export is known, or
            `output` exists.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> mt.export(Path("runs/first"), Path("saved_models/exported"))
        >>> Path("saved_models/exported/1/saved_model.pb").is_file()
        True
    """
    kind = run_kind(run_dir)
    if kind not in _EXPORTS:
        raise MelanomaError(f"{run_dir}: expected a {' or '.join(_EXPORTS)} run; found {kind}")
    _EXPORTS[kind](run_dir, output, overwrite=overwrite)
