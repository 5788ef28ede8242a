"""Pictures of what a classifier took for what it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf import training
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.report_charts import FOCUS
from melanoma_tf.evaluation.report_content import Mistake, MistakeGroup
from melanoma_tf.pipeline.classifier import ClassifierInputs, central_view
from melanoma_tf.recipes.classifier import KIND, classifier_inputs
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.read import read_examples

_JPEG_QUALITY = 92

Images = npt.NDArray[np.uint8]


def find_mistakes(
    predictions: Predictions,
    run_dirs: Sequence[Path],
    folders: Sequence[Path],
    split: str,
    examples: int,
) -> tuple[tuple[MistakeGroup, ...], str]:
    """The mistakes of each kind, the most certain ones first and with pictures.

    Args:
        predictions: with labels.
        run_dirs: the run, or an ensemble's members, the first of which says how images are seen.
        folders: record folders that hold the images.
        split: of them.
        examples: pictures of each kind, at most.

    Returns:
        The groups, and what is to be said of the pictures.
    """
    kinds = dict(_kinds(predictions))
    wanted = [row for rows in kinds.values() for row in rows[:examples]]
    inputs = classifier_inputs(training.read_config(run_dirs[0], KIND), batch_size=1)
    views = dict(_views(predictions, wanted, folders, split, inputs))
    groups = tuple(
        MistakeGroup(
            title,
            len(rows),
            tuple(
                _mistake(predictions, row, views[row]) for row in rows[:examples] if row in views
            ),
        )
        for title, rows in kinds.items()
    )
    return groups, _note(len(wanted), len(views), examples)


def _kinds(predictions: Predictions) -> Iterator[tuple[str, list[int]]]:
    """Rows by kind of mistake, the largest probability of the decided class first."""
    labels, scores = predictions.labels, predictions.scores
    assert labels is not None  # what is not known cannot be mistaken
    decided = scores.argmax(axis=1)
    largest = scores.max(axis=1)
    # A tie for the largest is no decision.
    is_decided = (scores == largest[:, None]).sum(axis=1) == 1
    wrong = np.flatnonzero((labels >= 0) & (decided != labels) & is_decided)
    wrong = wrong[np.argsort(-largest[wrong], kind="stable")]
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
    split: str,
    inputs: ClassifierInputs,
) -> Iterator[tuple[int, Images]]:
    """What the network saw of these rows' images, as far as the records hold them."""
    assert predictions.labels is not None
    open_rows: Mapping[str, int] = {predictions.image_ids[row]: row for row in rows}
    for folder in folders:
        if not open_rows or split not in read_manifest(folder).splits():
            continue
        for example in read_examples(folder, split):
            names = [
                name
                for name in (example.key, f"{example.source}/{example.key}")
                if name in open_rows
            ]
            if not names:
                continue
            row = open_rows[names[0]]
            if example.label_text == predictions.class_names[predictions.labels[row]]:
                yield row, central_view(example.image, inputs).numpy()


def _mistake(predictions: Predictions, row: int, view: Images) -> Mistake:
    assert predictions.labels is not None
    true, decided = int(predictions.labels[row]), int(predictions.scores[row].argmax())
    scores = predictions.scores[row]
    return Mistake(
        predictions.image_ids[row],
        predictions.class_names[true],
        predictions.class_names[decided],
        (float(scores[true]), float(scores[decided])),
        _jpeg(view),
        None,
    )


def _jpeg(image: Images) -> bytes:
    ok, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    assert ok, "OpenCV encodes any uint8 image"
    return encoded.tobytes()


def _note(wanted: int, found: int, examples: int) -> str:
    if not examples:
        return "Pictures were left out."
    if found < wanted:
        return f"{wanted - found:,} of {wanted:,} images are not in the records (any more)."
    return "The most certain ones of each kind, as the network saw them."
