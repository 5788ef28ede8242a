"""Patches of images at the working size of purification, to draw occlusions on.

All are graph ops on float32 RGB `(height, width, 3)` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from melanoma_tf.augmentation import photometric
from melanoma_tf.augmentation.settings import PhotometricAugmentation
from melanoma_tf.core.random_streams import Stream, example_seed
from melanoma_tf.images.geometry import fit_long_side, resize
from melanoma_tf.purification.classical.graph import find_occlusions
from melanoma_tf.purification.classical.settings import WORKING_SIZE_PX, OcclusionSettings
from melanoma_tf.purification.settings import PatchSettings
from melanoma_tf.records import schema, stream
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

# Diameter of the dilation of what the detector finds on an image itself: pixels in it do not count.
IGNORE_MARGIN_PX = 7
# Examples that are shuffled among each other.
_SHUFFLE_WINDOW = 4096
_COLOURS = PhotometricAugmentation(
    colour=0.8, illumination=0.2, blur=0.2, dark_corners=0, hairs=0, ruler=0, ink=0, sticker=0
)

# (patch, seed) -> what is learned from it, a nest of tensors; the seed is int64 `(2,)`.
Make = Callable[[tf.Tensor, tf.Tensor], Any]


def training_patches(
    records: RecordSet,
    inputs: PatchSettings,
    make: Make,
    first_example: int,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Endless batches of what is made of random patches of the `train` split.

    They are a pure function of the records, the settings, `first_example`, the number of
    examples that are left out, and the part of the input.
    """

    def example(number: tf.Tensor, serialized: tf.Tensor) -> Any:
        seed = example_seed(inputs.seed, number)
        image, size_px = decoded(serialized, inputs.image_size_px), inputs.image_size_px
        return make(cut(image, size_px, seed, augment=inputs.augment), seed)

    stored = stream.shuffled_stream(
        records.shard_paths("train"),
        records.count(split="train"),
        seed=inputs.seed,
        window=stream.bounded_window(_SHUFFLE_WINDOW, records.manifests, "train"),
        first_example=first_example,
        part=part,
    )
    examples = stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(part.share(inputs.batch_size), drop_remainder=True))


def evaluation_patches(
    records: RecordSet, split: str, inputs: PatchSettings, make: Make
) -> tf.data.Dataset:
    """One pass over a split: what is made of the middle of every image, always by the same seeds.

    Purified copies of images in the split are left out.
    """
    paths = records.shard_paths(split)

    def example(number: tf.Tensor, serialized: tf.Tensor) -> Any:
        seed = example_seed(0, number)
        return make(middle(decoded(serialized, inputs.image_size_px), inputs.image_size_px), seed)

    stored = stream.read_shards(paths).filter(stream.is_not_purified_copy).enumerate()
    examples = stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size))


def decoded(serialized: tf.Tensor, size_px: int) -> tf.Tensor:
    """An image of working size, float32 `(height, width, 3)` in [0, 1], no side below `size_px`."""
    encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image = tf.cast(tf.ensure_shape(image, [None, None, 3]), tf.float32)[tf.newaxis] / 255.0
    return resize(image, *fit_long_side(image, WORKING_SIZE_PX, size_px))[0]


def cut(image: tf.Tensor, size_px: int, seed: tf.Tensor, *, augment: bool) -> tf.Tensor:
    """A random patch of an image; mirrored, transposed and coloured by chance, if augmented."""
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
    """The patch in the middle of an image."""
    corner = (tf.shape(image)[:2] - size_px) // 2
    return tf.slice(image, tf.concat([corner, [0]], 0), [size_px, size_px, 3])


@tf.function  # Its graph takes seconds to build, and several places of the pipeline use it.
def detected_occlusions(square: tf.Tensor) -> tf.Tensor:
    """Occlusions found by the classical detector, float32 `(size, size, 1)`, 0 or 1."""
    return find_occlusions(square[tf.newaxis], None, OcclusionSettings())[0]
