"""Squares of images of the purification's working size, to draw occlusions on.

All are graph ops on float32 RGB `(height, width, 3)` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from melanoma_tf.augmentation import photometric
from melanoma_tf.augmentation.settings import PhotometricAugmentation
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.random_streams import Stream, example_seed
from melanoma_tf.images.geometry import fit_long_side, resize
from melanoma_tf.purification.classical.graph import find_occlusions
from melanoma_tf.purification.classical.settings import WORKING_SIZE_PX, OcclusionSettings
from melanoma_tf.records import schema, stream
from melanoma_tf.records.manifest import read_manifest, shard_paths
from melanoma_tf.records.record_set import RecordSet, RecordsLike

# How far from what the detector found on an image itself the truth is doubted.
IGNORE_MARGIN_PX = 7
_COLOURS = PhotometricAugmentation(
    colour=0.8, illumination=0.2, blur=0.2, dark_corners=0, hairs=0, ruler=0, ink=0, sticker=0
)

# (square, seed) -> what is learned from it, a nest of tensors; the seed is int64 `(2,)`.
Make = Callable[[tf.Tensor, tf.Tensor], Any]


@dataclass(frozen=True)
class SquareInputs:
    """How records become batches of squares.

    Attributes:
        image_size_px: side of the squares.
        batch_size: squares in a batch, over all replicas.
        augment: mirror, transpose, and change colours.
        shuffle_window: examples that are shuffled among each other.
        seed: of everything.

    Raises:
        MelanomaError: a size below 32 or above the working size.
    """

    image_size_px: int = 256
    batch_size: int = 8
    augment: bool = True
    shuffle_window: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if not 32 <= self.image_size_px <= WORKING_SIZE_PX:
            raise MelanomaError(
                f"expected squares of 32 to {WORKING_SIZE_PX} px; found {self.image_size_px}"
            )

    def check_fractions(self, *shares: float) -> None:
        """Raise `MelanomaError` at a share out of [0, 1]."""
        for share in shares:
            if not 0 <= share <= 1:
                raise MelanomaError(f"expected a share in [0, 1]; found {share}")


def training_squares(
    folders: RecordsLike, inputs: SquareInputs, make: Make, first_example: int
) -> tf.data.Dataset:
    """The endless stream of batches of what is made of random squares of the `train` split.

    It is a pure function of the records, the settings and `first_example`, the number of examples
    that are left out.
    """
    records = RecordSet.read(folders)

    def example(number: tf.Tensor, serialized: tf.Tensor) -> Any:
        seed = example_seed(inputs.seed, number)
        image, size_px = decoded(serialized, inputs.image_size_px), inputs.image_size_px
        return make(cut(image, size_px, seed, augment=inputs.augment), seed)

    records = stream.shuffled_stream(
        records.shard_paths("train"),
        records.count(split="train"),
        seed=inputs.seed,
        window=inputs.shuffle_window,
        first_example=first_example,
    )
    examples = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size, drop_remainder=True))


def evaluation_squares(
    folder: Path, split: str, inputs: SquareInputs, make: Make
) -> tf.data.Dataset:
    """One pass over a split: what is made of the middle of every image, always by the same seeds.

    A purified copy that stands beside its original is left out.
    """
    paths = shard_paths(folder, read_manifest(folder), split)

    def example(number: tf.Tensor, serialized: tf.Tensor) -> Any:
        seed = example_seed(0, number)
        return make(middle(decoded(serialized, inputs.image_size_px), inputs.image_size_px), seed)

    records = stream.read_shards(paths).filter(stream.is_not_purified_copy).enumerate()
    examples = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size))


def decoded(serialized: tf.Tensor, size_px: int) -> tf.Tensor:
    """An image of working size, float32 `(height, width, 3)` in [0, 1], no side below `size_px`."""
    encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.cast(tf.ensure_shape(image, [None, None, 3]), tf.float32)[tf.newaxis] / 255.0
    return resize(image, *fit_long_side(image, WORKING_SIZE_PX, size_px))[0]


def cut(image: tf.Tensor, size_px: int, seed: tf.Tensor, *, augment: bool) -> tf.Tensor:
    """A random square of an image; mirrored, turned and coloured by chance, if augmented."""
    corner = Stream("patches.corner")(seed)
    square = tf.image.stateless_random_crop(image, [size_px, size_px, 3], corner)
    if not augment:
        return square
    flips = Stream("patches.flips").uniform(seed, [3]) < 0.5
    square = tf.where(flips[0], square[::-1], square)
    square = tf.where(flips[1], square[:, ::-1], square)
    square = tf.where(flips[2], tf.transpose(square, [1, 0, 2]), square)
    square = tf.ensure_shape(square, [size_px, size_px, 3])
    return photometric.augment(square, tf.ones_like(square[..., :1]), _COLOURS, seed)[0]


def middle(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """The square in the middle of an image."""
    corner = (tf.shape(image)[:2] - size_px) // 2
    return tf.slice(image, tf.concat([corner, [0]], 0), [size_px, size_px, 3])


@tf.function  # Its graph takes seconds to build, and stands in several places of the pipeline.
def detected_occlusions(square: tf.Tensor) -> tf.Tensor:
    """What the classical detector finds on a square, float32 `(size, size, 1)`, 0 or 1."""
    return find_occlusions(square[tf.newaxis], None, OcclusionSettings())[0]
