"""A trained segmenter -> a folder that TensorFlow Serving loads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf import __version__
from melanoma_tf.core.files import write_atomically, write_json
from melanoma_tf.core.outputs import published_folder
from melanoma_tf.images import masks
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.segmentation.settings import SegmenterSettings
from melanoma_tf.serving.classifier_export import DISCLAIMER, INPUT, VERSION, grey_image
from melanoma_tf.serving.warmup import write_warmup
from melanoma_tf.training.run_record import RunRecord

MASKS, MAPS = "masks", "probabilities"


class _ServedSegmenter(tf.Module):
    """Encoded images in, masks and probability maps out."""

    def __init__(self, segmenter: LesionSegmenter):
        super().__init__()
        self.segmenter = segmenter

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Segment string `(n,)` of encoded images of any sizes; `n` may be 0."""
        size = self.segmenter.square_px

        def prepare(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            image = tf.ensure_shape(image, [None, None, 3])
            return masks.squeeze(image, size), tf.shape(image)[:2]

        squares, shapes = tf.map_fn(
            prepare,
            images,
            fn_output_signature=(
                tf.TensorSpec([size, size, 3], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ),
        )
        maps = self.segmenter.probabilities(squares)

        def encode(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            probability = masks.restore(pair[0], pair[1][0], pair[1][1])
            found = probability > self.segmenter.settings.threshold
            return tf.io.encode_png(tf.where(found, tf.constant(255, tf.uint8), 0))

        encoded = tf.map_fn(
            encode, (maps, shapes), fn_output_signature=tf.TensorSpec([], tf.string)
        )
        return {MASKS: encoded, MAPS: maps}


def export_segmenter(
    segmenter: LesionSegmenter,
    output: Path,
    *,
    record: RunRecord[SegmenterSettings],
    overwrite: bool = False,
) -> None:
    """Write a SavedModel of stock TensorFlow ops, with warm-up requests, card and metadata.

    Its default signature takes `images`, string `(n,)`: JPEG or PNG bytes of any sizes. It returns
    `masks`, string `(n,)`: PNG bytes of 0 and 255 in each image's own size, holes filled; and
    `probabilities`, float32 `(n, size, size, 1)`: the map of the whole image squeezed to a square.

    Args:
        segmenter: the segmenter and how it is used.
        output: `saved_models/NAME`; the model lands in its sub-folder `1`.
        record: of the run.
        overwrite: replace a model that is there.

    Raises:
        MelanomaError: `output` exists.
    """
    served = _ServedSegmenter(segmenter)
    with published_folder(output, overwrite=overwrite) as folder:
        version_dir = folder / VERSION
        tf.saved_model.save(served, str(version_dir), signatures=served.serve)
        write_warmup(version_dir, output.name, INPUT, [grey_image(segmenter.square_px)])
        write_json(folder / "metadata.json", _metadata(output.name, segmenter, record))
        write_atomically(folder / "model_card.md", _model_card(output.name, segmenter, record))


def _metadata(
    name: str, segmenter: LesionSegmenter, record: RunRecord[SegmenterSettings]
) -> dict[str, Any]:
    size = segmenter.square_px
    return {
        "name": name,
        "version": VERSION,
        "task": "segmentation",
        "tool": f"melanoma_tf {__version__}",
        "inputs": {INPUT: "string (n,): JPEG or PNG bytes"},
        "outputs": {
            MASKS: "string (n,): PNG bytes, 0 skin, 255 lesion, each of its image's size",
            MAPS: f"float32 (n, {size}, {size}, 1), holes filled",
        },
        "use": dataclasses.asdict(segmenter.settings),
        "training": record.to_json(),
        "intended_use": DISCLAIMER,
    }


def _model_card(name: str, segmenter: LesionSegmenter, record: RunRecord[SegmenterSettings]) -> str:
    sources = "\n".join(
        f"- {source}: {entry['licence']}. {entry['attribution']}"
        for source, entry in record.sources.items()
    )
    chosen = record.settings
    inference = dataclasses.asdict(segmenter.settings)
    used = ", ".join(f"{key} {value}" for key, value in inference.items())
    return f"""# {name}

{DISCLAIMER}

## Intended use
Research on dermoscopic images: outlining the lesion in the middle. It was not validated on
patients. Its outlines are weaker on images of other devices than it was trained on.

## Input and output
Encoded dermoscopic images (JPEG or PNG, any size). A mask of each (PNG, 0 skin, 255 lesion), which
is empty where nothing was found, and a probability map.

## Network
Bisla et al. 2019, Table 1, with {chosen.base_filters} base filters at
{chosen.image_size_px} px, padding {chosen.padding}, normalization
{chosen.normalization}; {chosen.epochs} epochs, batch {chosen.batch_size}, Adam at
{chosen.learning_rate}, seed {chosen.seed}. Used with: {used}.
`metadata.json` has every setting.

## Training data
{sources}
"""
