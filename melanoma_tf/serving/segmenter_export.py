"""A trained segmenter -> a version folder that TensorFlow Serving loads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from melanoma_tf.core.files import write_atomically, write_json
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.serving.model_card import (
    data_section,
    limits_section,
    metadata,
    without_folders,
)
from melanoma_tf.serving.reader import PhotographReader
from melanoma_tf.serving.saving import save_signatures
from melanoma_tf.serving.segmentation_graph import SegmentationGraph
from melanoma_tf.serving.signatures import DEFAULT, DISCLAIMER, METADATA, MODEL_CARD, SEGMENT
from melanoma_tf.training.run_record import RunRecord


def write_segmenter(
    folder: Path,
    name: str,
    segmenter: LesionSegmenter,
    *,
    record: RunRecord[SegmenterSettings],
    max_megapixels: float,
) -> None:
    """Write a SavedModel of stock TensorFlow ops, with card and metadata.

    Its signature takes `images`, string `(n,)`: JPEG or PNG bytes of any sizes. It returns
    `mask_bytes`, string `(n,)`: PNG of 0 and 255 in each upright image's own size, holes filled;
    `probabilities`, float32 `(n, size, size, 1)`: the map of the whole image squeezed to a square;
    `status` and `message`.

    Args:
        folder: the version folder.
        name: of the model.
        segmenter: the segmenter and how it is used.
        record: of the run.
        max_megapixels: an image that claims more is refused.
    """
    graph = SegmentationGraph(segmenter, PhotographReader(max_megapixels))
    functions = {DEFAULT: graph.segment, SEGMENT: graph.segment}
    signatures = save_signatures(graph, functions, folder)
    described = {
        **metadata(name, "segmentation", signatures, record),
        "use": dataclasses.asdict(segmenter.settings),
        "preprocessing": {"square_px": segmenter.square_px, "max_megapixels": max_megapixels},
    }
    write_json(folder / METADATA, without_folders(described))
    write_atomically(folder / MODEL_CARD, _model_card(name, segmenter, record, max_megapixels))


def _model_card(
    name: str,
    segmenter: LesionSegmenter,
    record: RunRecord[SegmenterSettings],
    max_megapixels: float,
) -> str:
    chosen = record.settings
    inference = dataclasses.asdict(segmenter.settings)
    used = ", ".join(f"{key} {value}" for key, value in inference.items())
    return f"""# {name}

{DISCLAIMER}

## Intended use
Research on dermoscopic images: outlining the lesion in the middle.

## Input and output
Encoded dermoscopic images (JPEG, PNG, or BMP of 24 bits, any size), turned upright by their EXIF
orientation. A mask of each (PNG, 0 skin, 255 lesion), which is empty where nothing was found, and a
probability map. An image that cannot be read gets a status and a message, and no mask.

## Network
Bisla et al. 2019, Table 1, with {chosen.base_filters} base filters at
{chosen.image_size_px} px, padding {chosen.padding}, normalization
{chosen.normalization}; {chosen.epochs} epochs, batch {chosen.batch_size}, Adam at
{chosen.learning_rate}, seed {chosen.seed}. Used with: {used}.
`metadata.json` has every setting.

## Training data
{data_section(record)}

## Limits
{limits_section(max_megapixels)}
"""
