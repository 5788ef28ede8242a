"""Records -> batches.

Order, and why: read shards in parallel (disk and page cache are never the limit) -> shuffle the
raw bytes, which are small (so that no decoded image waits in a buffer) -> number the examples (so
that every random draw is a pure function of seed and number, and a resumed run goes on with the
very next example) -> decode and map in parallel -> batch -> prefetch. Nothing is cached: raw
records come from the page cache anyway, and decoded ones would be a copy of the data in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from melanoma_tf.images import loading
from melanoma_tf.records import schema
from melanoma_tf.records.manifest import read_manifest, shard_paths

# Crops are cut from images whose short side is this much longer, as in 256 -> 224.
_CROP_MARGIN = 8 / 7
_SHARDS_READ_AT_ONCE = 8
_EVALUATED_FEATURES = ("label", "image/key", "source", "patient/id")


@dataclass(frozen=True)
class ClassifierInputs:
    """How records become the classifier's batches.

    Attributes:
        image_size_px: side of the square that the network sees.
        batch_size: images in a batch, over all replicas.
        augment: random crop and mirroring; without it the middle is cut, unmirrored.
        shuffle_window: examples that are shuffled among each other.
        seed: of the order and of the augmentation.
    """

    image_size_px: int = 224
    batch_size: int = 32
    augment: bool = True
    shuffle_window: int = 4096
    seed: int = 0

    @property
    def short_side_px(self) -> int:
        """Short side, in pixels, to which images are scaled before the crop."""
        return round(self.image_size_px * _CROP_MARGIN)


def training_batches(
    folder: Path, inputs: ClassifierInputs, *, first_example: int = 0
) -> tf.data.Dataset:
    """The endless stream of shuffled training batches.

    Every example is seen once before any is seen again. The stream is a pure function of the
    records, the settings and `first_example`.

    Args:
        folder: a record folder with a `train` split.
        inputs: settings.
        first_example: how many examples of the stream to leave out, those already trained on.

    Returns:
        Batches `(images, labels)`: uint8 `(batch, size, size, 3)` RGB and int64 `(batch,)`.

    Raises:
        MelanomaError: the folder is unfinished or has no training examples.
    """
    manifest = read_manifest(folder)
    paths = shard_paths(folder, manifest, "train")
    count = manifest.count(split="train")
    epoch, offset = divmod(first_example, count)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(inputs.seed, tf.int64), epoch])
        names = tf.constant([str(path) for path in paths])
        shards = tf.data.Dataset.from_tensor_slices(
            tf.random.experimental.stateless_shuffle(names, seed)
        )
        return _shuffled(_read(shards), inputs.shuffle_window, seed)

    def example(number: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "label"))
        seed = tf.stack([tf.constant(inputs.seed, tf.int64), number])
        return _view(record["image/encoded"], inputs, seed), record["label"]

    epochs = tf.data.Dataset.range(epoch, tf.int64.max)
    stream = epochs.flat_map(one_epoch).skip(offset).enumerate(first_example)
    batches = stream.map(example, num_parallel_calls=tf.data.AUTOTUNE).batch(
        inputs.batch_size, drop_remainder=True
    )
    return _ordered(batches.prefetch(tf.data.AUTOTUNE))


def evaluation_batches(folder: Path, split: str, inputs: ClassifierInputs) -> tf.data.Dataset:
    """One pass over a split, in the records' order, the middle of every image.

    Returns:
        Batches, dictionaries of `image`, uint8 `(batch, size, size, 3)`; `label`, int64
        `(batch,)`; and strings `(batch,)`: `image/key`, `source`, `patient/id`. The last batch
        may be smaller.

    Raises:
        MelanomaError: the folder is unfinished or has no examples in the split.
    """
    paths = shard_paths(folder, read_manifest(folder), split)

    def example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", *_EVALUATED_FEATURES))
        image = loading.load_image(record.pop("image/encoded"), inputs.short_side_px)
        return {"image": loading.centre_crop(image, inputs.image_size_px), **record}

    shards = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    examples = _read(shards).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return _ordered(examples.batch(inputs.batch_size).prefetch(tf.data.AUTOTUNE))


def _read(shards: tf.data.Dataset) -> tf.data.Dataset:
    return shards.interleave(
        tf.data.TFRecordDataset,
        cycle_length=_SHARDS_READ_AT_ONCE,
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _shuffled(records: tf.data.Dataset, window: int, seed: tf.Tensor) -> tf.data.Dataset:
    """Shuffle within windows by stateless draws: `Dataset.shuffle` cannot resume at an epoch."""

    def shuffled(number: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(group, seed + [0, number * 7919])

    groups = records.batch(window).enumerate()
    return groups.map(shuffled).prefetch(1).unbatch()


def _view(encoded: tf.Tensor, inputs: ClassifierInputs, seed: tf.Tensor) -> tf.Tensor:
    image = loading.load_image(encoded, inputs.short_side_px)
    if not inputs.augment:
        return loading.centre_crop(image, inputs.image_size_px)
    image = loading.random_crop(image, inputs.image_size_px, seed)
    return loading.random_flips(image, seed + [1, 0])


def _ordered(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    return batches.with_options(options)
