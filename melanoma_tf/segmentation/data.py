"""Records -> batches of images and lesion masks."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import tensorflow as tf

from melanoma_tf.augmentation import geometric, photometric
from melanoma_tf.augmentation.settings import GeometricAugmentation, PhotometricAugmentation
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.random_streams import example_seed
from melanoma_tf.images.masks import squeeze
from melanoma_tf.records import schema, stream
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

_PNG_SIZE_AT = 16  # Width and height, big-endian, after the signature and the first chunk's head.
_MASK_LEVEL = 128  # The challenge binarises masks at > 128.


@dataclass(frozen=True)
class SegmenterInputs:
    """Settings of the segmenter's batches.

    Attributes:
        image_size_px: side of the square to which whole images are squeezed.
        batch_size: images in a batch, over all replicas.
        geometric, photometric: the augmentation; None disables it.
        shuffle_window: examples that are shuffled among each other.
        seed: of the order and of the augmentation.
    """

    image_size_px: int = 380
    batch_size: int = 8
    geometric: GeometricAugmentation | None = field(default_factory=GeometricAugmentation)
    photometric: PhotometricAugmentation | None = field(default_factory=PhotometricAugmentation)
    shuffle_window: int = 4096
    seed: int = 0


def count_masks(records: RecordSet, split: str) -> int:
    """Count the examples of a split that have a mask; every mask has its image's size.

    Outside `train`, purified copies of stored originals are not counted.

    Raises:
        MelanomaError: there is no such split, holds no mask in it, or a mask
            of another size than its image.
    """
    count = 0
    names = ("image/key", "image/height", "image/width", "mask/encoded")
    stored = stream.read_shards(records.shard_paths(split))
    for serialized in stored if split == "train" else stored.filter(stream.is_not_purified_copy):
        record = schema.parse(serialized, names)
        mask = record["mask/encoded"].numpy()
        if not mask:
            continue
        count += 1
        width, height = struct.unpack_from(">II", mask, _PNG_SIZE_AT)
        expected = (int(record["image/height"]), int(record["image/width"]))
        if (height, width) != expected:
            raise MelanomaError(
                f"{records}: {record['image/key'].numpy().decode()}: expected a mask of its "
                f"image's size {expected[0]}x{expected[1]}; found {height}x{width}"
            )
    if not count:
        raise MelanomaError(
            f"{records}: expected masks to train on; no example of the split {split} has one. "
            "Build the records from a data set with masks, or fill them by `melanoma-tf segment`"
        )
    return count


def training_batches(
    records: RecordSet,
    inputs: SegmenterInputs,
    count: int,
    *,
    first_example: int = 0,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """The endless stream of shuffled training batches; examples without a mask are left out.

    The stream is a pure function of the records and the arguments.

    Args:
        records: with a `train` split.
        inputs: settings.
        count: what `count_masks` says.
        first_example: how many examples of the stream to leave out, those already trained on.
        part: of the input that is read; its batches have its share of the batch size.

    Returns:
        Batches `(images, masks)`: float32 `(batch, size, size, 3)` RGB in [0, 255] and float32
        `(batch, size, size, 1)`, 0 or 1.
    """

    def example(number: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "mask/encoded"))
        return _view(record, inputs, example_seed(inputs.seed, number))

    stored = stream.shuffled_stream(
        records.shard_paths("train"),
        count,
        seed=inputs.seed,
        window=stream.bounded_window(inputs.shuffle_window, records.manifests, "train"),
        first_example=first_example,
        keep=_has_mask,
        part=part,
    )
    examples = stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(part.share(inputs.batch_size), drop_remainder=True))


def evaluation_batches(records: RecordSet, split: str, inputs: SegmenterInputs) -> tf.data.Dataset:
    """One pass over the examples of a split that have a mask, unchanged, in the records' order.

    A purified copy next to its original is left out: an image counts once.

    Returns:
        Batches `(images, masks)` as `training_batches`; the last may be smaller.
    """

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "mask/encoded"))
        return _squeezed(record, inputs.image_size_px)

    stored = stream.read_shards(records.shard_paths(split))
    stored = stored.filter(stream.is_not_purified_copy).filter(_has_mask)
    examples = stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size))


def _has_mask(serialized: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(schema.parse(serialized, ("mask/encoded",))["mask/encoded"]) > 0


def _decoded(record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    image = tf.io.decode_image(record["image/encoded"], channels=3, expand_animations=False)
    mask = tf.io.decode_png(record["mask/encoded"], channels=1)
    return tf.ensure_shape(image, [None, None, 3]), tf.cast(mask > _MASK_LEVEL, tf.float32)


def _squeezed(record: dict[str, tf.Tensor], size_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    image, mask = _decoded(record)
    return squeeze(image, size_px), tf.image.resize(mask, [size_px, size_px], method="nearest")


def _view(
    record: dict[str, tf.Tensor], inputs: SegmenterInputs, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    size_px = inputs.image_size_px
    image, mask = _squeezed(record, size_px)
    image /= 255.0
    if inputs.geometric is not None:
        moved = geometric.augment(image, mask, size_px, inputs.geometric, seed)
        image, mask = moved[..., :3], moved[..., 3:]
    if inputs.photometric is not None:
        image, mask = photometric.augment(image, mask, inputs.photometric, seed)
    return 255.0 * image, mask
