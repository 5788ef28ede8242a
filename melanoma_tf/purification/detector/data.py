"""Records -> examples to train an occlusion detector on: images drawn over, and where.

Images are brought to the working size of purification (a long side of 512 pixels), patches are cut
out of them, and random occlusions are drawn over these. What the classical detector finds on an
image itself, and the pixels around it, may be occluded or not: they do not count unless they were
drawn over.
"""

from __future__ import annotations

import math

import tensorflow as tf

from melanoma_tf.augmentation.synthetic_occlusions import paint_occlusions
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.geometry import resize
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.detector.losses import pack
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.patches import (
    IGNORE_MARGIN_PX,
    detected_occlusions,
    evaluation_patches,
    training_patches,
)
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

# A pixel counts as occluded from this coverage on, where the drawing changed it by as much.
_LEAST_COVERAGE = 0.2
_LEAST_CHANGE = 0.03
# How many times coarser than the working size the coarsest images are.
_COARSEST = 6.0
Examples = tuple[tf.Tensor, tf.Tensor]


def training_batches(
    records: RecordSet, inputs: DetectorSettings, *, first_example: int = 0, part: Part = WHOLE
) -> tf.data.Dataset:
    """The endless stream of training examples.

    The stream is a pure function of the records and the arguments.

    Args:
        records: with a `train` split.
        inputs: the settings of the training.
        first_example: how many examples of the stream to leave out, those already trained on.
        part: of the input that is read; its batches have its share of the batch size.

    Returns:
        Batches `(images, truth)`: RGB `(batch, size, size, 3)` in [0, 255], and where they are
        occluded as `purification.detector.losses.pack` makes it; all float32.
    """
    return training_patches(
        records,
        inputs,
        lambda square, seed: _example(square, inputs.clean_fraction, inputs.coarse_fraction, seed),
        first_example,
        part,
    )


def evaluation_batches(records: RecordSet, split: str, inputs: DetectorSettings) -> tf.data.Dataset:
    """One pass over a split: the middle of every image, with occlusions that are always the same.

    Purified copies of images in the split are left out.

    Returns:
        Batches as `training_batches`; the last may be smaller.
    """
    return evaluation_patches(
        records,
        split,
        inputs,
        lambda square, seed: _example(square, 0.0, inputs.coarse_fraction, seed),
    )


def _example(
    square: tf.Tensor, clean_fraction: float, coarse_fraction: float, seed: tf.Tensor
) -> Examples:
    own = detected_occlusions(square)
    chance = Stream("detector.is_clean_or_coarse").uniform(seed, [2])
    drawn, covered = tf.cond(
        chance[0] < clean_fraction,
        lambda: (square, tf.zeros_like(own)),
        lambda: paint_occlusions(square, seed),
    )
    if coarse_fraction:
        fine = tf.concat([drawn, square, covered], -1)
        seen = tf.cond(chance[1] < coarse_fraction, lambda: _coarse(fine, seed), lambda: fine)
        drawn, square, covered = tf.split(seen, [3, 3, 1], -1)
    # A hair of the colour of the skin below is invisible.
    change = tf.reduce_max(tf.abs(drawn - square), -1, keepdims=True)
    occluded = tf.cast((covered >= _LEAST_COVERAGE) & (change >= _LEAST_CHANGE), tf.float32)
    ignored = tf.maximum(
        dilate(own[tf.newaxis], IGNORE_MARGIN_PX)[0],
        tf.cast((covered >= _LEAST_COVERAGE) & (change < _LEAST_CHANGE), tf.float32),
    )
    return 255.0 * drawn, pack(occluded, tf.maximum(1.0 - ignored, occluded))


def _coarse(square: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A patch reduced by a random factor, and enlarged again."""
    size_px = square.shape[0]
    shrunk = tf.exp(Stream("detector.coarseness").uniform(seed, [], 0.0, math.log(_COARSEST)))
    small = tf.cast(tf.round(size_px / shrunk), tf.int32)
    coarse = resize(resize(square[tf.newaxis], small, small), size_px, size_px)[0]
    return tf.ensure_shape(coarse, square.shape)
