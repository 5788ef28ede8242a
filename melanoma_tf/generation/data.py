"""Records -> real images and latent vectors for a generative network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation.adversarial import LATENTS_PER_EXAMPLE
from melanoma_tf.generation.settings import GanSettings
from melanoma_tf.images import loading
from melanoma_tf.records import schema, stream
from melanoma_tf.records.manifest import shard_paths
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

Images = npt.NDArray[np.uint8]
RealBlocks = Callable[[], Iterator[tuple[Images, list[str]]]]
_SHUFFLE_WINDOW = 4096
_REAL = "real"


def require_classes(records: RecordSet, class_names: Sequence[str]) -> None:
    """Raise `MelanomaError` where the records have not got one of the classes."""
    unknown = [name for name in class_names if name not in records.class_names]
    if unknown:
        raise MelanomaError(
            f"{records}: expected a class out of {', '.join(records.class_names)}; "
            f"found {', '.join(unknown)}"
        )


def count_training_images(records: RecordSet, settings: GanSettings) -> dict[str, int]:
    """Count the real training images of each class.

    Raises:
        MelanomaError: the records have no such class, or fewer images of one than a batch has.
    """
    require_classes(records, settings.class_names)
    counts = {
        name: records.count(split="train", class_name=name, origin=_REAL)
        for name in settings.class_names
    }
    for name, count in counts.items():
        if count < settings.batch_size:
            raise MelanomaError(
                f"{records}: expected at least {settings.batch_size} training images of {name}, "
                f"one batch; found {count}: lower --batch-size"
            )
    return counts


def training_batches(
    records: RecordSet,
    settings: GanSettings,
    *,
    first_example: int = 0,
    mirror: bool = True,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """The endless stream of shuffled training batches; each class is used up before it repeats.

    The stream is a pure function of the records and the arguments.

    Args:
        records: with a `train` split.
        settings: of the training, with the names of its classes.
        first_example: how many examples of the stream to leave out, those already trained on.
        mirror: mirror images at random, left-right and top-bottom.
        part: of the input that is read; its batches have its share of the batch size.

    Returns:
        Batches `(images, latents)`: float32 `(batch, classes, size, size, 3)` RGB in [-1, 1] and
        float32 `(batch, latents, latent_size)`, standard normal.

    Raises:
        MelanomaError: see `count_training_images`.
    """
    counts = count_training_images(records, settings)
    by_class = [
        _class_stream(records, name, count, settings, first_example, mirror, part)
        for name, count in counts.items()
    ]
    seed = tf.constant(settings.seed, tf.int64)

    def example(*images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = images[0][0]
        # Not a named stream, nor are the flips: a seeded training repeats its numbers of old.
        latents = tf.random.stateless_normal(
            [LATENTS_PER_EXAMPLE, settings.latent_size], tf.stack([seed, number]) + [0, 1 << 40]
        )
        return tf.stack([image for _, image in images]), latents

    zipped = tf.data.Dataset.zip(tuple(by_class))
    examples = zipped.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(part.share(settings.batch_size), drop_remainder=True))


def _class_stream(
    records: RecordSet,
    class_name: str,
    count: int,
    settings: GanSettings,
    first_example: int,
    mirror: bool,
    part: Part,
) -> tf.data.Dataset:
    index, size = records.class_names.index(class_name), settings.image_size_px

    def example(number: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = _square(schema.parse(serialized, ("image/encoded",))["image/encoded"], size)
        if mirror:
            image = loading.random_flips(image, tf.stack([settings.seed + index, number]))
        return number, tf.cast(image, tf.float32) / 127.5 - 1.0

    stored = stream.shuffled_stream(
        records.shard_paths("train"),
        count,
        seed=settings.seed + index,
        window=stream.bounded_window(
            _SHUFFLE_WINDOW, records.manifests, "train", len(records.class_names)
        ),
        first_example=first_example,
        keep=_is_real_of([index]),
        part=part,
    )
    return stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)


@dataclass(frozen=True)
class RealImages:
    """The real images of some classes, uint8 `(images, size, size, 3)` by class, unmirrored.

    Attributes:
        training: of the split `train`.
        held_out: of the splits `validation` and `test`.
    """

    training: dict[str, Images]
    held_out: dict[str, Images]


def read_real_images(
    records: RecordSet, class_names: Sequence[str], image_size_px: int
) -> RealImages:
    """Read the real images of some classes from all folders, in the records' order.

    Args:
        records: with a `train` split.
        class_names: of the records.
        image_size_px: side of the square cut from the middle of an image.
    """
    parts = [
        _images_of_split(records, split, class_names, image_size_px)
        for split in ("validation", "test")
        if records.count(split=split)
    ]
    training = _images_of_split(records, "train", class_names, image_size_px)
    held_out = {
        name: np.concatenate([training[name][:0], *(part[name] for part in parts)])
        for name in class_names
    }
    return RealImages(training, held_out)


def _images_of_split(
    records: RecordSet, split: str, class_names: Sequence[str], image_size_px: int
) -> dict[str, Images]:
    indices = [records.class_names.index(name) for name in class_names]

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "label"))
        return _square(record["image/encoded"], image_size_px), record["label"]

    stored = stream.read_shards(records.shard_paths(split))
    chosen = stored.filter(_is_real_of(indices))
    examples = chosen.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    found: dict[int, list[Images]] = {index: [] for index in indices}
    for image, label in stream.ordered(examples).as_numpy_iterator():
        found[label].append(image)
    return {
        name: np.array(found[index], np.uint8).reshape(-1, image_size_px, image_size_px, 3)
        for name, index in zip(class_names, indices)
    }


def real_blocks(records: RecordSet, image_size_px: int, *, block: int = 1024) -> RealBlocks:
    """All real images of all folders, splits and classes, as often as they are needed.

    Args:
        records: the folders, which follow each other.
        image_size_px: side of the middle squares.
        block: images at once.

    Returns:
        A function that begins a new stream: uint8 `(images, size, size, 3)` and their keys. The
        next blocks are decoded while one is processed.
    """
    return real_blocks_of(shards_of(records), image_size_px, block=block)


def shards_of(records: RecordSet) -> list[Path]:
    """List the shards of all folders and splits, in the order of `real_blocks`."""
    return [
        path
        for folder, manifest in zip(records.folders, records.manifests)
        for split in manifest.splits()
        for path in shard_paths(folder, manifest, split)
    ]


def real_blocks_of(paths: Sequence[Path], image_size_px: int, *, block: int = 1024) -> RealBlocks:
    """Make `real_blocks` of some shards."""

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "image/key"))
        return _square(record["image/encoded"], image_size_px), record["image/key"]

    examples = stream.read_shards(paths).filter(is_real)
    images = examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    blocks = stream.ordered(images.batch(block))

    def begin() -> Iterator[tuple[Images, list[str]]]:
        for batch, keys in blocks:
            yield batch.numpy(), [key.decode() for key in keys.numpy()]

    return begin


def real_at(
    records: RecordSet, image_size_px: int, places: Collection[int]
) -> Iterator[tuple[int, str, Images]]:
    """Read the real images at some places of `real_blocks`; no others are decoded.

    Yields:
        Place, key and uint8 `(size, size, 3)`.
    """
    wanted = tf.constant(sorted(places), tf.int64)

    def example(place: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        record = schema.parse(serialized, ("image/encoded", "image/key"))
        return place, record["image/key"], _square(record["image/encoded"], image_size_px)

    numbered = stream.read_shards(shards_of(records)).filter(is_real).enumerate()
    chosen = numbered.filter(lambda place, _: tf.reduce_any(place == wanted))
    examples = chosen.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    for place, key, image in stream.ordered(examples).as_numpy_iterator():
        yield int(place), key.decode(), image


@tf.function  # Traced once, however many streams there are: one to every class.
def _square(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """The middle square of an encoded image, uint8 `(size, size, 3)`."""
    return loading.load_crop(encoded, size, size, lambda shape: loading.centre_corner(shape, size))


def is_real(serialized: tf.Tensor) -> tf.Tensor:
    """Tell whether a serialised record is that of a real image."""
    return tf.equal(schema.parse(serialized, ("origin",))["origin"], _REAL)


def _is_real_of(labels: list[int]) -> Callable[[tf.Tensor], tf.Tensor]:
    def keep(serialized: tf.Tensor) -> tf.Tensor:
        record = schema.parse(serialized, ("label", "origin"))
        label = tf.equal(record["label"], tf.constant(labels, tf.int64))
        return tf.reduce_any(label) & tf.equal(record["origin"], _REAL)

    return keep
