"""Records -> batches for a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.errors import MelanomaError
from melanoma_tf.images import loading
from melanoma_tf.images.occlusion import purify
from melanoma_tf.pipeline import stream
from melanoma_tf.records import schema
from melanoma_tf.records.folders import Folders, RecordFolders

# Crops are cut from images whose short side is this much longer, as in 256 -> 224.
_CROP_MARGIN = 8 / 7
PURIFY = ("none", "test", "train", "both")
BALANCES = ("none", "batch")
_EVALUATED_FEATURES = ("label", "image/key", "source", "patient/id")


@dataclass(frozen=True)
class ClassifierInputs:
    """How records become the classifier's batches.

    Attributes:
        image_size_px: side of the square that the network sees.
        batch_size: images in a batch, over all replicas.
        augment: random crop and mirroring; without it the middle is cut, unmirrored.
        balance: `batch` draws equally many of each class into every mini-batch (Bisla et al. 2019,
            Section 6.3): a class is used up before any of it is seen again, so that scarce ones
            are seen more often. `none` sees every example equally often.
        purify: when the classical purification takes out hairs, rulers, ink and bubbles: at
            training (`train`), at validation, evaluation and serving (`test`), `both`, `none`.
        shuffle_window: examples that are shuffled among each other.
        seed: of the order and of the augmentation.
    """

    image_size_px: int = 224
    batch_size: int = 32
    augment: bool = True
    shuffle_window: int = 4096
    seed: int = 0
    purify: str = "none"
    balance: str = "none"

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise MelanomaError(
                f"expected balance out of {', '.join(BALANCES)}; found {self.balance}"
            )
        if self.purify not in PURIFY:
            raise MelanomaError(f"expected purify out of {', '.join(PURIFY)}; found {self.purify}")

    @property
    def purify_training(self) -> bool:
        """Whether training images are purified."""
        return self.purify in ("train", "both")

    @property
    def purify_test(self) -> bool:
        """Whether images are purified wherever the network is not being trained."""
        return self.purify in ("test", "both")

    @property
    def short_side_px(self) -> int:
        """Short side, in pixels, to which images are scaled before the crop."""
        return round(self.image_size_px * _CROP_MARGIN)


def training_batches(
    folders: Folders, inputs: ClassifierInputs, *, first_example: int = 0
) -> tf.data.Dataset:
    """The endless stream of shuffled training batches.

    Every example (of a class, where classes are balanced) is seen once before any is seen again.
    The stream is a pure function of the
    records, the settings and `first_example`.

    Args:
        folders: a record folder with a `train` split, or several of one taxonomy.
        inputs: settings.
        first_example: how many examples of the stream to leave out, those already trained on.

    Returns:
        Batches `(images, labels)`: uint8 `(batch, size, size, 3)` RGB and int64 `(batch,)`.

    Raises:
        MelanomaError: a folder is unfinished or of another taxonomy, or none has training examples.
    """
    held = RecordFolders.read(folders)

    def example(number: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "label"))
        seed = tf.stack([tf.constant(inputs.seed, tf.int64), number])
        return _training_view(record["image/encoded"], inputs, seed), record["label"]

    draw = _balanced if inputs.balance == "batch" else _shuffled
    records = draw(held, inputs, first_example)
    examples = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size, drop_remainder=True))


def _shuffled(held: RecordFolders, inputs: ClassifierInputs, first_example: int) -> tf.data.Dataset:
    return stream.shuffled_stream(
        held.shard_paths("train"),
        held.count(split="train"),
        seed=inputs.seed,
        window=inputs.shuffle_window,
        first_example=first_example,
        keep=held.keep("train"),
    )


def _balanced(held: RecordFolders, inputs: ClassifierInputs, first_example: int) -> tf.data.Dataset:
    """One example of each class in turn, so that any run of them is balanced to within one."""
    counts = [held.count(split="train", class_name=name) for name in held.class_names]
    present = [label for label, count in enumerate(counts) if count]
    turn, within = divmod(first_example, len(present))
    by_class = [
        stream.shuffled_stream(
            held.shard_paths("train"),
            counts[label],
            seed=inputs.seed + label,
            window=inputs.shuffle_window,
            first_example=turn,
            keep=stream.both(_of_class(label), held.keep("train")),
        )
        for label in present
    ]
    turns = tf.data.Dataset.zip(tuple(by_class))
    examples = turns.map(lambda *drawn: tf.stack([serialized for _, serialized in drawn]))
    return examples.unbatch().enumerate(turn * len(present)).skip(within)


def _of_class(label: int) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda serialized: tf.equal(schema.parse(serialized, ("label",))["label"], label)


def evaluation_batches(folders: Folders, split: str, inputs: ClassifierInputs) -> tf.data.Dataset:
    """One pass over a split, in the records' order, the middle of every image.

    A purified copy that stands beside its original is left out: an image counts once.

    Returns:
        Batches, dictionaries of `image`, uint8 `(batch, size, size, 3)`; `label`, int64
        `(batch,)`; and strings `(batch,)`: `image/key`, `source`, `patient/id`. The last batch
        may be smaller.

    Raises:
        MelanomaError: a folder is unfinished, or none has examples in the split.
    """
    held = RecordFolders.read(folders)
    paths = held.shard_paths(split)

    def example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", *_EVALUATED_FEATURES))
        return {"image": central_view(record.pop("image/encoded"), inputs), **record}

    records = stream.read_shards(paths)
    copies = held.count(split=split, origin="purified")
    keep = stream.both(held.keep(split), stream.counts_once if copies else None)
    records = records if keep is None else records.filter(keep)
    examples = records.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size))


def central_view(encoded: tf.Tensor, inputs: ClassifierInputs) -> tf.Tensor:
    """The middle of an encoded image as the network sees it outside training.

    Returns:
        uint8 `(size, size, 3)`.
    """
    return _cropped(
        encoded,
        inputs,
        lambda shape: loading.centre_corner(shape, inputs.image_size_px),
        purified=inputs.purify_test,
    )


def _training_view(encoded: tf.Tensor, inputs: ClassifierInputs, seed: tf.Tensor) -> tf.Tensor:
    def corner(shape: tf.Tensor) -> tf.Tensor:
        if inputs.augment:
            return loading.random_corner(shape, inputs.image_size_px, seed)
        return loading.centre_corner(shape, inputs.image_size_px)

    image = _cropped(encoded, inputs, corner, purified=inputs.purify_training)
    return loading.random_flips(image, seed + [1, 0]) if inputs.augment else image


def _cropped(
    encoded: tf.Tensor,
    inputs: ClassifierInputs,
    corner: Callable[[tf.Tensor], tf.Tensor],
    *,
    purified: bool,
) -> tf.Tensor:
    if not purified:
        return loading.load_crop(encoded, inputs.short_side_px, inputs.image_size_px, corner)
    # Purified before the crop, so that a hair is seen along its whole length.
    image = purify(loading.load_image(encoded, inputs.short_side_px))[0]
    return loading.crop(image, corner(tf.shape(image)[:2]), inputs.image_size_px)
