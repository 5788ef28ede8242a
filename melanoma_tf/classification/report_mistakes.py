"""Pictures of a classifier's errors, and saliency maps of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.backbones.classifier import load_classifier
from melanoma_tf.classification.cross_validation import folds_of
from melanoma_tf.classification.data import ClassifierInputs, central_view
from melanoma_tf.classification.evaluation_settings import PURIFICATIONS
from melanoma_tf.classification.explanation_data import encoded_records
from melanoma_tf.classification.folds import DIVIDED
from melanoma_tf.classification.inputs import classifier_inputs, purified_by
from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.classification.train import CLASSIFIER
from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.evaluation.metrics.decisions import decided_classes
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.report.charts import FOCUS
from melanoma_tf.evaluation.report.content import Mistake, MistakeGroup
from melanoma_tf.images import heat_map
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.training.run_record import read_run

_JPEG_QUALITY = 92
_SHOWN_PX = 224
# A map has a few high peaks; scaled to them, the rest would be black.
_BRIGHTEST = 0.99

Images = npt.NDArray[np.uint8]


def find_mistakes(
    predictions: Predictions,
    run_dirs: Sequence[Path],
    folders: Sequence[Path],
    metrics: Mapping[str, Any],
    examples: int,
) -> tuple[tuple[MistakeGroup, ...], str]:
    """The mistakes of each kind, the most confident ones first, with pictures.

    Args:
        predictions: with labels.
        run_dirs: the run, or an ensemble's members; saliency maps are the first one's.
        folders: record folders that hold the images.
        metrics: the content of `metrics.json`.
        examples: pictures of each kind, at most.

    Returns:
        The groups, and remarks on the pictures.
    """
    kinds = dict(_kinds(predictions))
    wanted = [row for rows in kinds.values() for row in rows[:examples]]
    record = read_run(run_dirs[0], CLASSIFIER)
    settings = record.settings
    if metrics.get("purify") in PURIFICATIONS:
        settings = purified_by(settings, metrics["purify"])
    inputs = classifier_inputs(settings, batch_size=1)
    splits = DIVIDED if folds_of(record, metrics["split"]) else (metrics["split"],)
    views = dict(_views(predictions, wanted, folders, splits, inputs))
    # With folds, it is unknown here which network held an image out.
    explained = {} if metrics.get("combine") == "folds" else _overlays(run_dirs[0], views)
    groups = tuple(
        MistakeGroup(
            title,
            len(rows),
            tuple(
                _mistake(predictions, row, views[row], explained.get(row))
                for row in rows[:examples]
                if row in views
            ),
        )
        for title, rows in kinds.items()
    )
    return groups, _note(len(wanted), len(views), run_dirs, bool(explained), examples)


def _kinds(predictions: Predictions) -> Iterator[tuple[str, list[int]]]:
    """Rows by kind of mistake, the largest score of the decided class first."""
    labels, scores = predictions.labels, predictions.scores
    assert labels is not None  # what is not known cannot be mistaken
    decided = decided_classes(scores)
    is_tie = decided == scores.shape[1]
    wrong = np.flatnonzero((labels >= 0) & (decided != labels) & ~is_tie)
    wrong = wrong[np.argsort(-scores.max(axis=1)[wrong], kind="stable")]
    if FOCUS not in predictions.class_names:
        yield "Wrong decisions", wrong.tolist()
        return
    focus = predictions.class_names.index(FOCUS)
    missed, called = labels[wrong] == focus, decided[wrong] == focus
    yield f"{FOCUS.capitalize()} taken for something else", wrong[missed].tolist()
    yield f"Taken for {FOCUS}", wrong[called].tolist()
    if len(predictions.class_names) > 2:
        yield "Other classes mistaken for each other", wrong[~missed & ~called].tolist()


def _views(
    predictions: Predictions,
    rows: Sequence[int],
    folders: Sequence[Path],
    splits: Sequence[str],
    inputs: ClassifierInputs,
) -> Iterator[tuple[int, Images]]:
    """Yield the rows whose images the records hold, each with the view that the network saw."""
    assert predictions.labels is not None
    row_of = {predictions.image_ids[row]: row for row in rows}
    # An image name that two sources share is written `source/name`.
    keys = sorted({name.rpartition("/")[2] for name in row_of} | set(row_of))
    for folder in folders if rows else ():
        manifest = read_manifest(folder)
        for split in set(splits) & set(manifest.splits()):
            for batch in encoded_records(folder, split, keys=keys):
                columns = (batch[name].numpy() for name in ("image/key", "source", "label"))
                for encoded, key, source, label in zip(batch["image/encoded"], *columns):
                    name = key.decode("utf-8")
                    row = row_of.get(name, row_of.get(f"{source.decode('utf-8')}/{name}"))
                    if row is not None and label == predictions.labels[row]:
                        yield row, central_view(encoded, inputs).numpy()


def _overlays(run_dir: Path, views: Mapping[int, Images]) -> dict[int, Images]:
    """Lay the saliency maps of a run's network over the views."""
    if not views:
        return {}
    explain = tf.function(visual_backprop(load_classifier(run_dir), even=True))
    found = {}
    for row, view in views.items():
        saliency = explain(tf.constant(view[np.newaxis], tf.float32))[0][0].numpy()
        scaled = saliency / max(float(np.quantile(saliency, _BRIGHTEST)), 1e-6)
        found[row] = heat_map.overlay(
            sheets.resize_to_square(view, _SHOWN_PX),
            tf.constant(cv2.resize(scaled, (_SHOWN_PX, _SHOWN_PX))),
        ).numpy()
    return found


def _mistake(predictions: Predictions, row: int, view: Images, overlay: Images | None) -> Mistake:
    assert predictions.labels is not None
    scores = predictions.scores[row]
    true, decided = int(predictions.labels[row]), int(scores.argmax())
    return Mistake(
        predictions.image_ids[row],
        predictions.class_names[true],
        predictions.class_names[decided],
        (float(scores[true]), float(scores[decided])),
        sheets.encode_jpeg(sheets.resize_to_square(view, _SHOWN_PX), quality=_JPEG_QUALITY),
        None if overlay is None else sheets.encode_jpeg(overlay, quality=_JPEG_QUALITY),
    )


def _note(wanted: int, found: int, run_dirs: Sequence[Path], explained: bool, examples: int) -> str:
    if not examples:
        return "Pictures were left out."
    if not wanted:
        return "All decisions are correct."
    remarks = ["The most confident errors of each kind, as the network saw them."]
    if explained:
        whose = f" of {run_dirs[0].resolve().name}" if len(run_dirs) > 1 else ""
        remarks.append(
            f"Next to each, the saliency map of the network{whose} (VisualBackProp, yellow is "
            "highest): of all features, not of one class."
        )
    if found < wanted:
        remarks.append(f"{wanted - found:,} of {wanted:,} images are not in the records.")
    return " ".join(remarks)
