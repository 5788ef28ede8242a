"""Pictures of the report on test images: saliency maps, and outlines of lesions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.classification.explain import Explanation, explain_records
from melanoma_tf.core import image_sheets as sheets
from melanoma_tf.core.image_sheets import Pixels
from melanoma_tf.evaluation.masks import MaskScore, score_mask, summarize
from melanoma_tf.evaluation.metrics.decisions import decided_classes
from melanoma_tf.evaluation.predictions import Predictions
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.images.masks import draw_outline
from melanoma_tf.records.decode import decode_image, decode_stored_mask
from melanoma_tf.records.read import read_examples
from melanoma_tf.segmentation.predict import load_segmenter

TEST = "test"
_COLUMNS, _TILE_PX, _GAP_PX = 6, 150, 4
_CANDIDATES = 24
_OUTLINE, _OUTLINE_PX = (255, 255, 0), 2
_KINDS = ("true positive", "false positive", "false negative")


def occluded_saliency(run_dir: Path, raw: Path, purified: Path) -> bytes | None:
    """Draw a PNG of the most occluded test images above their saliency maps (Figure 2).

    Args:
        run_dir: a finished classifier run.
        raw: records of the images.
        purified: records with purified copies, which occluded images have.

    Returns:
        None where no test image is occluded.
    """
    copies = (one.parent for one in read_examples(purified, TEST) if one.origin == "purified")
    keys = list(itertools.islice(copies, _CANDIDATES))
    if not keys:
        return None
    explained = explain_records(run_dir, raw, keys, split=TEST, shown_px=_TILE_PX)
    explained.sort(key=lambda one: -float(one.occlusions.mean()))
    columns = [sheets.stack([one.image, one.overlay], _GAP_PX) for one in explained[:_COLUMNS]]
    return sheets.encode_png(sheets.side_by_side(columns, _GAP_PX))


def decisions_saliency(run_dir: Path, raw: Path, predictions: Predictions) -> bytes:
    """Draw a PNG of the most confident decisions with their saliency maps (Figure 8).

    A row for each class; a true positive, a false positive and a false negative of it, each as the
    image and its saliency map.

    Args:
        run_dir: a finished classifier run.
        raw: records of the images.
        predictions: of the run on the test images.
    """
    chosen = most_confident(predictions)
    keys = list(dict.fromkeys(key for row in chosen for key in row if key))
    explained = dict(zip(keys, explain_records(run_dir, raw, keys, split=TEST, shown_px=_TILE_PX)))
    rows = []
    for name, row in zip(predictions.class_names, chosen):
        cells = [
            _decision(f"{spoken(name)}: {kind}", explained.get(key or ""))
            for kind, key in zip(_KINDS, row)
        ]
        rows.append(sheets.side_by_side(cells, 4 * _GAP_PX))
    return sheets.encode_png(sheets.stack(rows, _GAP_PX))


def most_confident(predictions: Predictions) -> list[list[str | None]]:
    """The most confident true positive, false positive and false negative of each class.

    Returns:
        By class, in their order: the image of each kind; None where there is none.
    """
    decided = decided_classes(predictions.scores)
    labels = predictions.labels
    assert labels is not None  # Those of records are known.
    found = []
    for index in range(len(predictions.class_names)):
        score = predictions.scores[:, index]
        is_class, is_decided = labels == index, decided == index
        kinds = (
            (is_class & is_decided, score),
            (~is_class & is_decided, score),
            (is_class & ~is_decided, -score),
        )
        found.append(
            [
                predictions.image_ids[int(np.argmax(np.where(kind, confidence, -np.inf)))]
                if kind.any()
                else None
                for kind, confidence in kinds
            ]
        )
    return found


@dataclass(frozen=True)
class Outlines:
    """A segmenter on test images.

    Attributes:
        png: images, outlines of the truth, and outlines that were found, from top to bottom.
        scores: see `evaluation.masks.summarize`.
    """

    png: bytes
    scores: dict[str, Any]


def outlines(segmenter: Path, raw: Path, *, rounds: int, seed: int) -> Outlines | None:
    """Outline the lesions of the test images that have masks (Figure 4B); None without masks.

    Args:
        segmenter: a finished run.
        raw: records of the images.
        rounds: of the bootstrap of the scores.
        seed: of the bootstrap.
    """
    network = load_segmenter(segmenter)
    scores: list[MaskScore] = []
    columns: list[Pixels] = []
    for example in read_examples(raw, TEST):
        if not example.mask:
            continue
        image, truth = decode_image(example.image), decode_stored_mask(example.mask) > 0
        found = network.mask(image).numpy() > 0
        scores.append(score_mask(found, truth, example.key))
        if len(columns) < _COLUMNS:
            tiles = [image, _outlined(image, truth), _outlined(image, found)]
            columns.append(sheets.stack([sheets.fit(each, _TILE_PX) for each in tiles], _GAP_PX))
    if not scores:
        return None
    png = sheets.encode_png(sheets.side_by_side(columns, _GAP_PX))
    return Outlines(png, summarize(scores, rounds=rounds, seed=seed))


def _decision(words: str, explanation: Explanation | None) -> Pixels:
    if explanation is None:
        empty = np.full((_TILE_PX, 2 * _TILE_PX + _GAP_PX, 3), 255, np.uint8)
        return sheets.stack([sheets.caption(f"{words}: none", empty.shape[1]), empty])
    drawn = sheets.side_by_side([explanation.image, explanation.overlay], _GAP_PX)
    return sheets.stack([sheets.caption(words, drawn.shape[1]), drawn])


def _outlined(image: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    batch = tf.constant(mask)[tf.newaxis, ..., tf.newaxis]
    width = max(_OUTLINE_PX, round(max(image.shape[:2]) / 100))
    drawn = draw_outline(tf.constant(image)[tf.newaxis], batch, _OUTLINE, width_px=width)
    outlined: Pixels = drawn[0].numpy()
    return outlined
