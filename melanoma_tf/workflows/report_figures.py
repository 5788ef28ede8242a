"""Figures of the reports of experiments."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_tf.core import image_sheets
from melanoma_tf.evaluation.predictions import read_predictions
from melanoma_tf.evaluation.report import figures
from melanoma_tf.evaluation.report.charts import Chart
from melanoma_tf.evaluation.report.figures import spoken
from melanoma_tf.evaluation.score import align_with_truth, roc_curves
from melanoma_tf.evaluation.score_text import nested, shown
from melanoma_tf.generation.data import real_blocks
from melanoma_tf.generation.nearest_neighbours import Images, nearest
from melanoma_tf.generation.sampler import load_sampler
from melanoma_tf.records.decode import decode_image
from melanoma_tf.records.manifest import Manifest
from melanoma_tf.records.read import read_examples
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.schema import ORIGINS
from melanoma_tf.workflows.report import Block, sheet, text
from melanoma_tf.workflows.tasks import EVALUATION

_TILE_PX, _COLUMNS, _GAP_PX = 128, 8, 4
_LATENT_VECTORS, _NARROW = 3, 4
PURIFIED = "purified"


def roc_charts(
    work_dir: Path, scores: Mapping[str, Mapping[str, Any]], class_names: Sequence[str]
) -> list[Chart]:
    """Draw the ROC curves of all classifiers, a chart for each of the classes that has any."""
    curves = {
        name: roc_curves(
            align_with_truth(read_predictions(work_dir / EVALUATION / name / "predictions.csv"))
        )
        for name in scores
    }
    drawn = []
    for class_name in class_names:
        if any(class_name not in each for each in curves.values()):
            continue
        points = {
            name: (
                np.asarray(each[class_name]["false_positive_rate"]),
                np.asarray(each[class_name]["true_positive_rate"]),
            )
            for name, each in curves.items()
        }
        areas = {
            name: shown(each["auc"][class_name], nested(each.get("interval"), ("auc", class_name)))
            for name, each in scores.items()
        }
        first = next(iter(scores.values()))
        counts = f"{first['n_per_class'][class_name]:,} of {first['n']:,} images"
        figure = figures.roc_comparison(class_name, points, areas, counts)
        words = "; ".join(f"{name} AUC {area}" for name, area in areas.items())
        drawn.append(
            Chart(f"roc/{class_name}", figure, f"ROC curves of {spoken(class_name)}: {words}.")
        )
    return drawn


def confusion_chart(name: str, scores: Mapping[str, Any]) -> Chart:
    """Draw the confusion matrix of a classifier."""
    undecided = list(scores["undecided"].values())
    matrix, names = scores["confusion_matrix"], scores["classes"]
    figure = figures.confusion_matrix(matrix, undecided, names, name)
    words = f"Confusion matrix of the {name} classifier."
    return Chart(f"confusion/{name}", figure, words, wide=len(names) > _NARROW)


def growth_charts(expansion: Mapping[str, Any]) -> list[Chart]:
    """Draw the classes' sizes by origin, before they are mirrored and cropped."""
    counts = {
        row["class_name"]: {origin: row[origin] for origin in ORIGINS}
        for row in expansion["classes"]
    }
    return [_size_chart(counts)]


def class_size_charts(manifests: Sequence[Manifest]) -> list[Chart]:
    """Draw the classes' sizes by origin over some record folders."""
    counts = {
        name: {
            origin: sum(
                each.count(split="train", class_name=name, origin=origin) for each in manifests
            )
            for origin in ORIGINS
        }
        for name in manifests[0].class_names
    }
    return [_size_chart(counts)]


def _size_chart(counts: Mapping[str, Mapping[str, int]]) -> Chart:
    figure = figures.class_sizes(counts, "training images", "images")
    words = "; ".join(
        f"{spoken(name)} " + ", ".join(f"{count:,} {origin}" for origin, count in row.items())
        for name, row in counts.items()
    )
    return Chart("class_sizes", figure, f"Bars of training images by class: {words}.")


def novelty_blocks(folder: Path, class_name: str) -> list[Block]:
    """The novelty filter's evidence on the generated images of a class."""
    return [
        sheet(
            (folder / f"{class_name}_histogram.png").read_bytes(),
            "Histogram of the distances to the nearest real image",
        ),
        sheet(
            (folder / f"{class_name}_spaced.png").read_bytes(),
            "Generated images above their nearest real ones",
            "Top: generated images at evenly spaced distances. Bottom: the nearest real images, "
            "and the mean squared errors.",
        ),
    ]


def coupled_sheet(run_dir: Path, records: Path) -> bytes:
    """Draw a PNG of a coupled GAN's images: a column for each class, a row for each latent vector.

    The last row has the real images that are nearest to those above them.
    """
    sampler = load_sampler(run_dir)
    columns = []
    for name in sampler.class_names:
        # The same numbers for each class, so that a row has one latent vector.
        rows = sampler.sample(name, _LATENT_VECTORS, np.random.default_rng(0))
        real = _nearest_real(rows[-1], records, sampler.settings.image_size_px)
        tiles = [image_sheets.resize_to_square(each, _TILE_PX) for each in (*rows, real)]
        columns.append(image_sheets.stack(tiles, _GAP_PX))
    return image_sheets.encode_png(image_sheets.side_by_side(columns, _GAP_PX))


def _nearest_real(image: Images, records: Path, size_px: int) -> Images:
    """The real image that is nearest to one, mirrored where its mirror image is."""
    blocks = real_blocks(RecordSet.read(records), size_px)
    found = nearest(image[np.newaxis], (block for block, _ in blocks()))
    place = int(found.index[0])
    for block, _ in blocks():
        if place < len(block):
            real: Images = block[place]
            return real[:, ::-1] if found.mirrored[0] else real
        place -= len(block)
    raise AssertionError("the nearest image is one of the real ones")


def purified_block(folder: Path) -> Block:
    """Images above their purified copies, or a sentence where there are none."""
    drawn = purified_sheet(folder)
    if drawn is None:
        return text("No image was occluded enough to be purified.")
    caption = "Top: images of the training set. Bottom: their purified copies."
    return sheet(drawn, "Images above their purified copies", caption)


def purified_sheet(folder: Path) -> bytes | None:
    """Draw a PNG of training images above their purified copies; None where there are none."""
    examples = read_examples(folder, "train")
    copies = list(itertools.islice((one for one in examples if one.origin == PURIFIED), _COLUMNS))
    if not copies:
        return None
    wanted = {copy.parent for copy in copies}
    originals: dict[str, bytes] = {}
    for example in read_examples(folder, "train"):
        if example.origin != PURIFIED and example.key in wanted:
            originals[example.key] = example.image
        if len(originals) == len(wanted):
            break
    columns = []
    for copy in copies:
        pair = (originals[copy.parent], copy.image)
        tiles = [image_sheets.fit(decode_image(image), _TILE_PX) for image in pair]
        columns.append(image_sheets.stack(tiles, _GAP_PX))
    return image_sheets.encode_png(image_sheets.side_by_side(columns, _GAP_PX))
