"""Records -> examples to train an occlusion detector on: images drawn over, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from melanoma_tf.augmentation.synthetic_occlusions import paint_occlusions
from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.geometry import resize
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.detector.losses import pack
from melanoma_tf.purification.patches import (
    IGNORE_MARGIN_PX,
    SquareInputs,
    detected_occlusions,
    evaluation_squares,
    training_squares,
)
from melanoma_tf.records.record_set import RecordsLike

# A pixel counts as occluded from this coverage on, where the drawing changed it by as much.
_LEAST_COVERAGE = 0.2
_LEAST_CHANGE = 0.03
# How many times coarser than the working size the coarsest images are.
_COARSEST = 6.0
Examples = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class DetectorInputs(SquareInputs):
    """How records become examples.

    Images are brought to the working size of the purification (a long side of 512 pixels), squares
    are cut out of them, and random occlusions drawn over these. What the classical detector finds
    on an image itself, and what is near it, may be occluded or not: nothing is asked there, unless
    it has been drawn over.

    Attributes:
        clean_fraction: share of the squares that nothing is drawn on.
        coarse_fraction: share of the squares that are shown as if they came from a smaller image,
            of down to a sixth of the working size, and had been brought to it.
        image_size_px, batch_size, augment, shuffle_window, seed: see `SquareInputs`.

    Raises:
        MelanomaError: a size below 32, or a share out of [0, 1].
    """

    clean_fraction: float = 0.1
    coarse_fraction: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_fractions(self.clean_fraction, self.coarse_fraction)


def training_batches(
    folders: RecordsLike, inputs: DetectorInputs, *, first_example: int = 0
) -> tf.data.Dataset:
    """The endless stream of training examples.

    It is a pure function of the records, the settings and `first_example`.

    Args:
        folders: record folders with a `train` split.
        inputs: settings.
        first_example: how many examples of the stream to leave out, those already trained on.

    Returns:
        Batches `(images, truth)`: RGB `(batch, size, size, 3)` in [0, 255], and where they are
        occluded as `purification.detector.losses.pack` makes it; all float32.
    """
    return training_squares(
        folders,
        inputs,
        lambda square, seed: _example(square, inputs.clean_fraction, inputs.coarse_fraction, seed),
        first_example,
    )


def evaluation_batches(folder: Path, split: str, inputs: DetectorInputs) -> tf.data.Dataset:
    """One pass over a split: the middle of every image, with occlusions that are always the same.

    A purified copy that stands beside its original is left out.

    Returns:
        Batches as `training_batches`; the last may be smaller.
    """
    return evaluation_squares(
        folder,
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
    # A hair the colour of the skin below can be seen by nobody.
    change = tf.reduce_max(tf.abs(drawn - square), -1, keepdims=True)
    occluded = tf.cast((covered >= _LEAST_COVERAGE) & (change >= _LEAST_CHANGE), tf.float32)
    doubted = tf.maximum(
        dilate(own[tf.newaxis], IGNORE_MARGIN_PX)[0],
        tf.cast((covered >= _LEAST_COVERAGE) & (change < _LEAST_CHANGE), tf.float32),
    )
    return 255.0 * drawn, pack(occluded, tf.maximum(1.0 - doubted, occluded))


def _coarse(square: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A square made smaller by chance, and large again."""
    size_px = square.shape[0]
    shrunk = tf.exp(Stream("detector.coarseness").uniform(seed, [], 0.0, math.log(_COARSEST)))
    small = tf.cast(tf.round(size_px / shrunk), tf.int32)
    coarse = resize(resize(square[tf.newaxis], small, small), size_px, size_px)[0]
    return tf.ensure_shape(coarse, square.shape)
