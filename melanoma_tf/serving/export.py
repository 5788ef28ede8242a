"""Export of finished runs: a classifier or a segmenter as a new version of a served model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.calibrate import read_calibration
from melanoma_tf.classification.calibration_file import require_biases, scale_of
from melanoma_tf.classification.data import ClassifierInputs
from melanoma_tf.classification.inputs import classifier_inputs, purified_by
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_checked_json, read_json, write_json
from melanoma_tf.core.settings import SHIPPED
from melanoma_tf.evaluation.prevalence import read_prevalence
from melanoma_tf.pretrained import classifier_run
from melanoma_tf.purification.networks import GraphPurifier
from melanoma_tf.segmentation.predict import load_segmenter
from melanoma_tf.segmentation.train import SEGMENTER
from melanoma_tf.serving.checksums import write_checksums
from melanoma_tf.serving.classification_graph import ClassifierParts
from melanoma_tf.serving.classifier_export import thresholds_of, write_classifier
from melanoma_tf.serving.golden import DAMAGED, golden_images, write_golden
from melanoma_tf.serving.segmenter_export import write_segmenter
from melanoma_tf.serving.settings import NONE, ExportSettings
from melanoma_tf.serving.signatures import METADATA
from melanoma_tf.serving.versions import latest_version, new_version, remove_old_versions
from melanoma_tf.training.run_record import read_run, run_kind

if TYPE_CHECKING:
    from melanoma_tf.serving.conversion import Format

_LOG = logging.getLogger("melanoma_tf.export")

# Writes a model of a run into a version folder, under a name.
_Write = Callable[[Path, str], None]


def export_run(run_dir: Path, output: Path, settings: ExportSettings | None = None) -> Path:
    """Write a finished run as a new version of a SavedModel for TensorFlow Serving.

    The version appears whole or not at all, under the next free number. The model's default
    signature takes encoded images and gives for each an answer or a status; docs/serving.md
    describes all signatures.

    Args:
        run_dir: a finished run of a classifier or a segmenter.
        output: `saved_models/NAME`, new or with versions of the same kind.
        settings: see `ExportSettings`.

    Returns:
        The version folder, `saved_models/NAME/1`.

    Raises:
        MelanomaError: no run, one that has not finished or of which no export is known; settings
            that do not go with it; or `output` holds something else than versions of such a model.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> mt.export(Path("runs/first"), Path("saved_models/exported")).name
        '1'
    """
    settings = settings or ExportSettings()
    run_dir, output = classifier_run(run_dir), Path(output)
    kind = run_kind(run_dir)
    if kind not in _WRITERS:
        raise MelanomaError(f"{run_dir}: expected a {' or '.join(_WRITERS)} run; found {kind}")
    inputs = [run_dir]
    if settings.segmenter not in (SHIPPED, NONE):
        inputs.append(Path(settings.segmenter))
    if settings.lite_records is not None:
        inputs.append(Path(settings.lite_records))
    with new_version(output, inputs) as version:
        name = output.resolve().name
        _WRITERS[kind](run_dir, settings)(version.working, name)
        _check_same_task(version.working, latest_version(output))
        write_golden(version.working, name)
        write_checksums(version.working)
    assert version.published is not None
    remove_old_versions(output, settings.keep)
    return version.published


def _check_same_task(new: Path, latest: Path | None) -> None:
    """Refuse a version that would answer the clients of an earlier one in other terms."""
    if latest is None:
        return
    for key in ("task", "class_names"):
        found, expected = (read_json(folder / METADATA).get(key) for folder in (new, latest))
        if found != expected:
            raise MelanomaError(
                f"expected a model of the {key} {expected}, as {latest}; found {found}: give "
                "another --output"
            )


def _classifier(run_dir: Path, settings: ExportSettings) -> _Write:
    record = read_run(run_dir, CLASSIFIER)
    chosen = record.settings
    if settings.purify is not None:
        chosen = purified_by(chosen, settings.purify)
    inputs = classifier_inputs(chosen, batch_size=1)
    calibration, evaluated = read_calibration(run_dir), run_dir / "metrics.json"
    if calibration is not None:
        _warn_of_purification(calibration["fitted_on"]["purify"], inputs.test_purification)
    if settings.prevalence is not None:
        require_biases(calibration, str(run_dir))
    prevalence = read_prevalence(settings.prevalence, record.class_names)
    parts = ClassifierParts(
        load_classifier(run_dir),
        record.class_names,
        inputs,
        scale_of(calibration, prevalence),
        thresholds_of(calibration if prevalence is None else None),
        None if settings.segmenter == NONE else load_segmenter(settings.segmenter),
        _purifier(inputs),
        settings.saliency,
        settings.max_megapixels,
    )
    metrics = read_checked_json(evaluated) if evaluated.is_file() else None
    formats = _formats(settings)

    def write(folder: Path, name: str) -> None:
        write_classifier(
            folder,
            name,
            parts,
            record=record,
            metrics=metrics,
            calibration=calibration,
            prevalence=prevalence,
        )
        if formats:
            _write_formats(folder, parts, formats, settings)

    return write


def _warn_of_purification(fitted: str, exported: str) -> None:
    if fitted != exported:
        _LOG.warning(
            "calibration and thresholds were fitted on images purified by: %s; this model purifies "
            "by: %s, and they may not hold",
            fitted,
            exported,
        )


def _formats(settings: ExportSettings) -> list[Format]:
    """The formats besides the SavedModel; `MelanomaError` where one lacks its libraries."""
    # Imported here: only these exports need the converters.
    from melanoma_tf.serving.lite import lite_formats
    from melanoma_tf.serving.onnx_format import onnx_format

    return lite_formats(settings.lite) + ([onnx_format()] if settings.onnx else [])


def _write_formats(
    folder: Path, parts: ClassifierParts, formats: list[Format], settings: ExportSettings
) -> None:
    """Write models of other formats, and what was measured of them into `metadata.json`."""
    from melanoma_tf.serving.conversion import Conversion

    conversion = Conversion(parts.model, parts.inputs, parts.scale, parts.class_names)
    good = [content for name, content in golden_images().items() if name != DAMAGED]
    records = None if settings.lite_records is None else Path(settings.lite_records)
    checks = conversion.write(folder, formats, good, records)
    described = read_json(folder / METADATA)
    described["formats"] = [dataclasses.asdict(check) for check in checks]
    write_json(folder / METADATA, described)


def _purifier(inputs: ClassifierInputs) -> GraphPurifier | None:
    """What purifies images of any size as the inputs do."""
    if inputs.test_purification == "none":
        return None
    # The network of the inputs, so that its weights are in the model once.
    given = inputs.purify_image
    return given if isinstance(given, GraphPurifier) else GraphPurifier(inputs.test_purification)


def _segmenter(run_dir: Path, settings: ExportSettings) -> _Write:
    record = read_run(run_dir, SEGMENTER)
    plain = ExportSettings(max_megapixels=settings.max_megapixels, keep=settings.keep)
    if settings != plain:
        given = next(
            field.name
            for field in dataclasses.fields(settings)
            if getattr(settings, field.name) != getattr(plain, field.name)
        )
        raise MelanomaError(f"expected {given} with a classifier only; {run_dir} is a segmenter")
    segmenter = load_segmenter(run_dir)
    return lambda folder, name: write_segmenter(
        folder, name, segmenter, record=record, max_megapixels=settings.max_megapixels
    )


_WRITERS: dict[str, Callable[[Path, ExportSettings], _Write]] = {
    CLASSIFIER.name: _classifier,
    SEGMENTER.name: _segmenter,
}
