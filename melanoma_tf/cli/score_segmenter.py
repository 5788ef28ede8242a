"""`score segmenter`: masks against the truth."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melanoma_tf.cli.console import progress, table, warn, warn_of_files
from melanoma_tf.cli.derived import GroupedCommand, settings_options
from melanoma_tf.cli.json_output import SaveJson, json_output
from melanoma_tf.cli.score import score
from melanoma_tf.evaluation.score_text import shown
from melanoma_tf.evaluation.settings import SegmenterScoreSettings

if TYPE_CHECKING:
    from melanoma_tf.evaluation.masks import MaskReader

_COLUMNS = {"jaccard": "Jaccard", "dice": "Dice"}
FOLDER = click.Path(path_type=Path)  # whether it is there, the reader says in one line
TITLES = {
    "jaccard": "Jaccard",
    "thresholded_jaccard": "Jaccard, 0 below 0.65 (ISIC 2018)",
    "dice": "Dice",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "jaccard_rowwise_2018": "row-wise index of the 2018 reference code (not the challenge's)",
}


@score.command("segmenter", cls=GroupedCommand)
@click.argument("predicted", metavar="PREDICTED_DIR", type=FOLDER)
@click.argument("truth", metavar="TRUTH_DIR", type=FOLDER)
@json_output("the scores, also those of each image,")
@settings_options(SegmenterScoreSettings)
def segmenter(
    predicted: Path,
    truth: Path,
    save_json: SaveJson,
    settings: SegmenterScoreSettings,
) -> None:
    """Score the masks of PREDICTED_DIR against those of the same images in TRUTH_DIR.

    Masks are matched by image, whether or not their names end in _segmentation, and read by their
    meaning (0 and 1, 0 and 255, palette, colour); grey ones are binarised at > 128. Each needs a
    partner of the same size. Empty against empty scores 1. Folders of ISIC_x_attribute_NAME.png are
    scored as task 2 of ISIC 2018: Jaccard and Dice of each attribute over all images.

    \b
    Example:
      melanoma-tf segment photos/ --output masks
      melanoma-tf score segmenter masks ISIC-2017_Test_v2_Part1_GroundTruth --json scores.json
    """
    from melanoma_tf.evaluation.attributes import has_attributes
    from melanoma_tf.evaluation.masks import (
        pair_masks,
        read_mask,
        read_mask_strictly,
        score_pairs,
        summarize,
    )

    notes: dict[str, list[str]] = {}
    read = read_mask_strictly if settings.strict else functools.partial(read_mask, notes=notes)
    if has_attributes(truth):
        _score_attributes(predicted, truth, read, save_json)
        return
    pairs = pair_masks(predicted, truth)
    warn_of_files(pairs.passed_over)
    scores = list(progress(score_pairs(pairs, read=read), label="score", total=len(pairs.pairs)))
    for note, paths in notes.items():
        warn(f"{len(paths):,} of the masks, the first {paths[0]}: {note}")
    summary = summarize(scores, rounds=settings.rounds, seed=settings.seed)
    each = [dataclasses.asdict(one) for one in scores]
    save_json({**summary, **settings.to_json(), "images": each})
    rows = [
        (title, shown(summary[name]["mean"], summary[name]["interval"]))
        for name, title in TITLES.items()
    ]
    table(f"Masks of {summary['n']:,} images", ("mean over images", "value"), rows)


def _score_attributes(predicted: Path, truth: Path, read: MaskReader, save_json: SaveJson) -> None:
    from melanoma_tf.evaluation.attributes import pair_attributes, score_attributes

    pairs = pair_attributes(predicted, truth)
    found = score_attributes(progress(pairs, label="score", total=len(pairs)), read)
    save_json(found)
    scores = {**found["attributes"], "all attributes": found["micro_average"]}
    rows = [
        (name, f"{each['jaccard']:.3f}", f"{each['dice']:.3f}") for name, each in scores.items()
    ]
    title = f"Attributes of {found['n']:,} images, areas added up over images (ISIC 2018, task 2)"
    table(title, ("attribute", *_COLUMNS.values()), rows)


COMMANDS: tuple[click.Command, ...] = ()  # It has joined the group `score`.
