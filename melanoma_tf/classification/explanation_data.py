"""Images for explanations: the square that the classifier sees, and its regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.images import loading
from melanoma_tf.purification.purify import purify
from melanoma_tf.records import schema, stream
from melanoma_tf.records.record_set import RecordSet, RecordsLike

# Occlusions are sought, and images shown, at about the size that purification works at.
_SHORT_SIDE_PX = 384
_NAMED = ("image/encoded", "image/key", "source", "label")


@dataclass(frozen=True)
class View:
    """The square in the middle of an image that a network sees.

    Attributes:
        size_px: its side, as the network sees it.
        short_side_px: short side of the image of which it is the middle.
        shown_px: its side, as it is shown.
    """

    size_px: int
    short_side_px: int
    shown_px: int = 256


def look(encoded: tf.Tensor, mask: tf.Tensor, view: View) -> dict[str, tf.Tensor]:
    """An image as it is shown, and which parts of it are lesion and occlusion.

    Args:
        encoded: string scalar, the image.
        mask: string scalar, PNG of the image's size, not 0 on the lesion; empty where unknown.
        view: what is seen of it.

    Returns:
        `shown`, uint8 `(shown, shown, 3)`, never purified; `lesion` and `occlusions`, float32
        `(size, size)`: the covered fraction of each of the network's pixels; `has_lesion`,
        bool: whether there was a mask.
    """
    image = loading.load_image(encoded, _SHORT_SIDE_PX)
    has_lesion = tf.strings.length(mask) > 0
    lesion = tf.cond(
        has_lesion,
        lambda: _mask(mask, tf.shape(image)[:2]),
        lambda: tf.zeros_like(image[..., :1]),
    )
    occlusions = purify(image, lesion)[1]
    window_px = round(_SHORT_SIDE_PX * view.size_px / view.short_side_px)

    def cut(pixels: tf.Tensor, size_px: int) -> tf.Tensor:
        square = loading.centre_crop(pixels, window_px)
        return tf.image.resize(square, [size_px, size_px], method="area")

    return {
        "shown": tf.cast(tf.round(cut(image, view.shown_px)), tf.uint8),
        "lesion": cut(lesion, view.size_px)[..., 0] / 255.0,
        "occlusions": cut(occlusions, view.size_px)[..., 0] / 255.0,
        "has_lesion": has_lesion,
    }


def _mask(encoded: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """uint8 `(height, width, 1)` of 0 and 255."""
    mask = tf.image.resize(tf.io.decode_png(encoded, channels=1), shape, method="nearest")
    return tf.where(mask > 0, tf.constant(255, tf.uint8), tf.constant(0, tf.uint8))


def encoded_records(
    folders: RecordsLike, split: str, *, keys: Sequence[str] | None = None, batch_size: int = 16
) -> tf.data.Dataset:
    """The examples of a split in the records' order, not decoded.

    A purified copy next to its original is left out, as in
    `classification.data.evaluation_batches`.

    Args:
        folders: a record folder, or several.
        split: `train`, `validation` or `test`.
        keys: only the images of these names.
        batch_size: images in a batch.

    Returns:
        Batches of `image/encoded`, `image/key`, `source`, strings `(batch,)`, and `label`, int64
        `(batch,)`.

    Raises:
        MelanomaError: a folder is unfinished, or none has examples in the split.
    """
    records = _records(folders, split, keys).batch(batch_size)
    return stream.ordered(records.map(lambda serialized: schema.parse(serialized, _NAMED)))


def record_views(
    folders: RecordsLike,
    split: str,
    view: View,
    *,
    keys: Sequence[str] | None = None,
    batch_size: int = 16,
) -> tf.data.Dataset:
    """`encoded_records`, and with each image what `look` returns of it."""

    def example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = schema.parse(serialized, (*_NAMED, "mask/encoded"))
        return {**look(record["image/encoded"], record.pop("mask/encoded"), view), **record}

    records = _records(folders, split, keys)
    examples = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(batch_size))


def _records(folders: RecordsLike, split: str, keys: Sequence[str] | None) -> tf.data.Dataset:
    records = RecordSet.read(folders)
    copies = records.count(split=split, origin="purified")
    keep = stream.both(records.keep(split), stream.is_not_purified_copy if copies else None)
    if keys is not None:
        keep = stream.both(keep, _named(keys))
    records = stream.read_shards(records.shard_paths(split))
    return records if keep is None else records.filter(keep)


def _named(keys: Sequence[str]) -> stream.Predicate:
    wanted = tf.constant(list(keys), tf.string)
    return lambda serialized: tf.reduce_any(
        schema.parse(serialized, ("image/key",))["image/key"] == wanted
    )
