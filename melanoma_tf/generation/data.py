"""Records -> real images and latent vectors for a generative network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.images import loading
from melanoma_tf.records import schema, stream
from melanoma_tf.records.manifest import read_manifest, shard_paths

RealBlocks = Callable[[], Iterator[tuple[npt.NDArray[np.uint8], list[str]]]]


@dataclass(frozen=True)
class GanInputs:
    """How records become batches.

    Attributes:
        class_names: of which images are taken: one of each class to every example.
        image_size_px: side of the square cut from the middle of an image.
        batch_size: examples in a batch, over all replicas.
        latent_size: length of the latent vectors.
        latents: vectors to every example.
        mirror: mirror images at random, left-right and top-bottom.
        origins: of the images.
        shuffle_window: examples that are shuffled among each other.
        seed: of order, mirroring and latent vectors.
    """

    class_names: tuple[str, ...]
    image_size_px: int = 64
    batch_size: int = 32
    latent_size: int = 10
    latents: int = 1
    mirror: bool = True
    origins: tuple[str, ...] = ("real",)
    shuffle_window: int = 4096
    seed: int = 0


def count_images(folder: Path, split: str, inputs: GanInputs) -> dict[str, int]:
    """How many images of each class there are.

    Raises:
        MelanomaError: the folder is unfinished, or has no such class.
    """
    manifest = read_manifest(folder)
    unknown = [name for name in inputs.class_names if name not in manifest.class_names]
    if unknown:
        raise MelanomaError(
            f"{folder}: expected a class out of {', '.join(manifest.class_names)}; "
            f"found {', '.join(unknown)}"
        )
    return {
        name: sum(
            manifest.count(split=split, class_name=name, origin=origin) for origin in inputs.origins
        )
        for name in inputs.class_names
    }


def require_batches(folder: Path, inputs: GanInputs) -> dict[str, int]:
    """How many training images of each class there are.

    Raises:
        MelanomaError: fewer images of a class than there are in a batch; see `count_images`.
    """
    counts = count_images(folder, "train", inputs)
    for name, count in counts.items():
        if count < inputs.batch_size:
            raise MelanomaError(
                f"{folder}: expected at least {inputs.batch_size} training images of {name}, one "
                f"batch; found {count}: lower --batch-size"
            )
    return counts


def training_batches(folder: Path, inputs: GanInputs, *, first_example: int = 0) -> tf.data.Dataset:
    """The endless stream of shuffled training batches; each class is used up before it repeats.

    The stream is a pure function of the records, the settings and `first_example`.

    Args:
        folder: a record folder with a `train` split.
        inputs: settings.
        first_example: how many examples of the stream to leave out, those already trained on.

    Returns:
        Batches `(images, latents)`: float32 `(batch, classes, size, size, 3)` RGB in [-1, 1] and
        float32 `(batch, latents, latent_size)`, standard normal.

    Raises:
        MelanomaError: fewer images of a class than there are in a batch.
    """
    counts = require_batches(folder, inputs)
    by_class = [
        _class_stream(folder, name, counts[name], inputs, first_example)
        for name in inputs.class_names
    ]
    seed = tf.constant(inputs.seed, tf.int64)

    def example(*images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number = images[0][0]
        # Not a named stream, nor are the flips: a seeded training repeats its numbers of old.
        latents = tf.random.stateless_normal(
            [inputs.latents, inputs.latent_size], tf.stack([seed, number]) + [0, 1 << 40]
        )
        return tf.stack([image for _, image in images]), latents

    zipped = tf.data.Dataset.zip(tuple(by_class))
    examples = zipped.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size, drop_remainder=True))


def _class_stream(
    folder: Path, class_name: str, count: int, inputs: GanInputs, first_example: int
) -> tf.data.Dataset:
    manifest = read_manifest(folder)
    index, size = manifest.class_names.index(class_name), inputs.image_size_px

    def example(number: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = _square(schema.parse(serialized, ("image/encoded",))["image/encoded"], size)
        if inputs.mirror:
            image = loading.random_flips(image, tf.stack([inputs.seed + index, number]))
        return number, tf.cast(image, tf.float32) / 127.5 - 1.0

    records = stream.shuffled_stream(
        shard_paths(folder, manifest, "train"),
        count,
        seed=inputs.seed + index,
        window=inputs.shuffle_window,
        first_example=first_example,
        keep=_of_classes([index], inputs),
    )
    return records.map(example, num_parallel_calls=tf.data.AUTOTUNE)


def real_images(
    folder: Path, split: str, inputs: GanInputs, *, at_most: int = 0
) -> dict[str, npt.NDArray[np.uint8]]:
    """The images of a split by class, uint8 `(images, size, size, 3)`, unmirrored.

    Args:
        folder: a record folder.
        split: `train`, `validation` or `test`.
        inputs: settings.
        at_most: images of a class; 0 for all.
    """
    manifest = read_manifest(folder)
    size = inputs.image_size_px
    indices = [manifest.class_names.index(name) for name in inputs.class_names]

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "label"))
        return _square(record["image/encoded"], size), record["label"]

    records = stream.read_shards(shard_paths(folder, manifest, split))
    chosen = records.filter(_of_classes(indices, inputs))
    examples = chosen.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    found: dict[int, list[npt.NDArray[np.uint8]]] = {index: [] for index in indices}
    for image, label in stream.ordered(examples).as_numpy_iterator():
        if not at_most or len(found[label]) < at_most:
            found[label].append(image)
    return {
        name: np.array(found[index], np.uint8).reshape(-1, size, size, 3)
        for name, index in zip(inputs.class_names, indices)
    }


def real_blocks(folder: Path, image_size_px: int, *, block: int = 1024) -> RealBlocks:
    """All real images of all splits and classes, in the records' order, as often as asked for.

    Args:
        folder: a record folder.
        image_size_px: side of the middle squares.
        block: images at once.

    Returns:
        A function that begins the stream anew: uint8 `(images, size, size, 3)` and their keys. The
        next blocks are decoded while one is looked at.
    """
    manifest = read_manifest(folder)
    paths = [path for split in manifest.splits() for path in shard_paths(folder, manifest, split)]

    def example(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "image/key"))
        return _square(record["image/encoded"], image_size_px), record["image/key"]

    def is_real(serialized: tf.Tensor) -> tf.Tensor:
        return tf.equal(schema.parse(serialized, ("origin",))["origin"], "real")

    examples = stream.read_shards(paths).filter(is_real)
    images = examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    blocks = stream.ordered(images.batch(block))

    def begin() -> Iterator[tuple[npt.NDArray[np.uint8], list[str]]]:
        for batch, keys in blocks:
            yield batch.numpy(), [key.decode() for key in keys.numpy()]

    return begin


@tf.function  # Traced once, however many streams there are: one to every class.
def _square(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """The middle square of an encoded image, uint8 `(size, size, 3)`."""
    return loading.load_crop(encoded, size, size, lambda shape: loading.centre_corner(shape, size))


def _of_classes(indices: list[int], inputs: GanInputs) -> Callable[[tf.Tensor], tf.Tensor]:
    def keep(serialized: tf.Tensor) -> tf.Tensor:
        record = schema.parse(serialized, ("label", "origin"))
        wanted = tf.reduce_any(tf.equal(record["origin"], tf.constant(inputs.origins)))
        label = tf.equal(record["label"], tf.constant(indices, tf.int64))
        return tf.reduce_any(label) & wanted

    return keep
