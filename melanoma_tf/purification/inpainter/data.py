"""Records -> pairs to train an inpainter on: images with holes, and what was there.

Images are brought to the working size of purification (a long side of 512 pixels), and patches are
cut out of them. The classical detector finds the occlusions that they have already.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.augmentation.synthetic_occlusions import draw_occlusions
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.filling import fill
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.inpainter.losses import pack
from melanoma_tf.purification.inpainter.settings import InpainterSettings
from melanoma_tf.purification.patches import (
    IGNORE_MARGIN_PX,
    detected_occlusions,
    evaluation_patches,
    training_patches,
)
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

# ((images, known), packed truth)
Pairs = tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]


def training_batches(
    records: RecordSet, inputs: InpainterSettings, *, first_example: int = 0, part: Part = WHOLE
) -> tf.data.Dataset:
    """The endless stream of training pairs.

    The stream is a pure function of the records and the arguments.

    Args:
        records: with a `train` split.
        inputs: the settings of the training.
        first_example: how many pairs of the stream to leave out, those already trained on.
        part: of the input that is read; its batches have its share of the batch size.

    Returns:
        Batches `((images, known), truth)`: RGB `(batch, size, size, 3)` in [0, 255], what is known
        of them `(batch, size, size, 1)`, 1 or 0, and the truth as
        `purification.inpainter.losses.pack` makes it; all float32.
    """
    return training_patches(
        records,
        inputs,
        lambda square, seed: _pair(square, inputs, seed),
        first_example,
        part,
    )


def evaluation_batches(
    records: RecordSet, split: str, inputs: InpainterSettings
) -> tf.data.Dataset:
    """One pass over a split: the middle of every image, with random masks that are always the same.

    Purified copies of images in the split are left out.

    Returns:
        Batches as `training_batches`; the last may be smaller.
    """
    return evaluation_patches(
        records,
        split,
        inputs,
        lambda square, seed: _drawn_pair(square, detected_occlusions(square), inputs, seed),
    )


def _pair(square: tf.Tensor, inputs: InpainterSettings, seed: tf.Tensor) -> Pairs:
    own = detected_occlusions(square)
    if not inputs.classical_fraction:
        return _drawn_pair(square, own, inputs, seed)
    wanted = Stream("inpainter.is_classical").uniform(seed, []) < inputs.classical_fraction
    return tf.cond(
        wanted & tf.reduce_any(own > 0.5) & tf.reduce_any(own < 0.5),
        lambda: _classical_pair(square, own),
        lambda: _drawn_pair(square, own, inputs, seed),
    )


def _classical_pair(square: tf.Tensor, own: tf.Tensor) -> Pairs:
    """A pair whose truth is the filling by the classical method."""
    holes = dilate(own[tf.newaxis], 3)
    truth = fill(square[tf.newaxis], holes)[0]
    return _packed(square, truth, holes[0], tf.ones_like(own))


def _drawn_pair(
    square: tf.Tensor, own: tf.Tensor, inputs: InpainterSettings, seed: tf.Tensor
) -> Pairs:
    """Occlusions drawn over a patch; its own, of unknown truth, are holes that do not count."""
    drawn, holes = draw_occlusions(square, seed)
    chance = Stream("inpainter.is_detected").uniform(seed, [2])
    if inputs.detected_fraction:
        holes = tf.cond(
            chance[0] < inputs.detected_fraction,
            lambda: _found(drawn, holes, chance[1]),
            lambda: holes,
        )
    ignored = dilate(own[tf.newaxis], IGNORE_MARGIN_PX)[0]
    return _packed(drawn, square, tf.maximum(holes, ignored), 1.0 - ignored)


def _found(drawn: tf.Tensor, holes: tf.Tensor, chance: tf.Tensor) -> tf.Tensor:
    """The detector's mask of a drawing, one or two pixels wider; else the drawing's mask."""
    found = detected_occlusions(drawn)[tf.newaxis]
    found = tf.where(chance < 0.5, dilate(found, 3), dilate(found, 5))[0]
    return tf.where(tf.reduce_any(found > 0.5), found, holes)


def _packed(image: tf.Tensor, truth: tf.Tensor, holes: tf.Tensor, counted: tf.Tensor) -> Pairs:
    known = 1.0 - holes
    return (255.0 * image * known, known), pack(255.0 * truth, known, counted)
