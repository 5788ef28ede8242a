"""Records -> batches for a classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from melanoma_tf.augmentation import classifier_augmentation, mixing
from melanoma_tf.augmentation.settings import (
    CLASSIFIER_PRESETS,
    ClassifierAugmentation,
    preset,
)
from melanoma_tf.classification.sampling import sample_examples, view_table
from melanoma_tf.classification.settings import AugmentationSettings, ClassifierSettings
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.random_streams import example_seed
from melanoma_tf.images import loading
from melanoma_tf.purification.purify import purify
from melanoma_tf.records import schema, stream
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet, RecordsLike

# Crops are cut from images whose short side is this much longer, as in 256 -> 224.
_CROP_MARGIN = 8 / 7
# uint8 RGB image `(height, width, 3)` -> the purified one, and the occlusion mask
PurifyImage = Callable[[tf.Tensor], "tuple[tf.Tensor, tf.Tensor]"]
_EVALUATED_FEATURES = ("label", "image/key", "source", "patient/id", "lesion/id")


@dataclass(frozen=True)
class ClassifierInputs:
    """Settings and networks of the input pipeline; `classification.inputs` makes it.

    Attributes:
        settings: of the classifier, with its image size resolved.
        augmentation: of training images.
        purify_image: the graph op of the purification network; None where no network purifies.
        shuffle_window: examples that are shuffled among each other.

    Raises:
        MelanomaError: purification by a network without the network, or the reverse.
    """

    settings: ClassifierSettings
    augmentation: ClassifierAugmentation
    purify_image: PurifyImage | None = field(default=None, repr=False, compare=False)
    shuffle_window: int = 4096

    def __post_init__(self) -> None:
        method = "none" if self.settings.purify == "none" else self.settings.purify_method
        if (method == "network") != (self.purify_image is not None):
            raise MelanomaError(
                "expected a network to purify with by the method network, and by no other; found "
                f"{method}"
            )

    @property
    def image_size_px(self) -> int:
        """Side of the square that the network sees."""
        return self.settings.network.image_size_px

    @property
    def batch_size(self) -> int:
        """Images in a batch, over all replicas."""
        return self.settings.batch_size

    @property
    def purify_training(self) -> bool:
        """Tell whether training images are purified."""
        return self.settings.purify in ("train", "both")

    @property
    def test_purification(self) -> str:
        """The method by which images are purified outside training, or `none`."""
        return self.settings.purify_method if self.settings.purify in ("test", "both") else "none"

    @property
    def short_side_px(self) -> int:
        """Short side, in pixels, to which images are scaled before the crop."""
        return self.settings.network.resize_px or round(self.image_size_px * _CROP_MARGIN)


def augmentation_of(settings: AugmentationSettings) -> ClassifierAugmentation:
    """Return the augmentation that the settings name, with the values that they replace."""
    given = {name: getattr(settings, name) for name in ("cutout", "mixup", "cutmix")}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(preset(CLASSIFIER_PRESETS, settings.augment), **changes)


def training_batches(
    folders: RecordsLike, inputs: ClassifierInputs, *, first_example: int = 0, part: Part = WHOLE
) -> tf.data.Dataset:
    """The endless stream of training batches.

    Which examples it holds in which order, see `classification.sampling`. The stream is a pure
    function of the records and the arguments.

    Args:
        folders: a record folder with a `train` split, or several of one taxonomy.
        inputs: settings.
        first_example: how many examples of the stream to leave out, those already trained on; a
            multiple of the batch size goes on with the very next batch.
        part: of the input that is read; its batches have its share of the batch size.

    Returns:
        Batches `(images, labels)`: uint8 `(batch, size, size, 3)` RGB and int64 `(batch,)`; where
        images are mixed, soft labels, float32 `(batch, classes)`.

    Raises:
        MelanomaError: a folder is unfinished or of another taxonomy, none has training examples,
            or they cannot make such batches (see `batches.check_batches`).

    Example:
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
        >>> network = NetworkSettings("small", "none", image_size_px=32)
        >>> inputs = mt.classifier_inputs(ClassifierSettings(batch_size=8, network=network))
        >>> images, labels = next(iter(mt.training_batches("tfrecords/phantoms", inputs)))
        >>> tuple(images.shape), tuple(labels.shape)
        ((8, 32, 32, 3), (8,))
    """
    records = RecordSet.read(folders)
    varied = inputs.augmentation
    examples = training_examples(records, inputs, first_example=first_example, part=part)
    batches = examples.batch(part.share(inputs.batch_size), drop_remainder=True)

    def finished(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        if not varied.mixes:
            return batch["image"], batch["label"]
        return mixing.mix(
            batch["image"],
            batch["label"],
            len(records.class_names),
            mixup=varied.mixup,
            cutmix=varied.cutmix,
            seed=example_seed(inputs.settings.seed, batch["number"][0]),
        )

    return stream.ordered(batches.map(finished, num_parallel_calls=tf.data.AUTOTUNE))


def training_examples(
    records: RecordSet, inputs: ClassifierInputs, *, first_example: int = 0, part: Part = WHOLE
) -> tf.data.Dataset:
    """The examples that `training_batches` puts together, one by one.

    Returns:
        Dictionaries of `number` in the stream, int64; `image`, uint8 `(size, size, 3)`; `label`,
        int64; `image/key`, string; `view`, int64, a row of `sampling.view_table` where
        there is an expansion plan.
    """
    plan = inputs.settings.batches.plan
    views = view_table(plan) if plan else None

    def example(number: tf.Tensor, serialized: tf.Tensor, view: tf.Tensor) -> dict[str, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", "label", "image/key"))
        seed = example_seed(inputs.settings.seed, number)
        draws = classifier_augmentation.draw(inputs.augmentation, seed)
        if views is not None:
            flips, places = (tf.gather(tf.constant(column), view) for column in views)
            draws = draws._replace(flips=flips, place=places)
        image = _training_view(record.pop("image/encoded"), inputs, draws)
        return {"number": number, "image": image, "view": view, **record}

    examples = sample_examples(
        records,
        inputs.settings.batches,
        seed=inputs.settings.seed,
        window=inputs.shuffle_window,
        first_example=first_example,
        part=part,
    )
    return examples.map(example, num_parallel_calls=tf.data.AUTOTUNE)


def evaluation_batches(
    folders: RecordsLike, split: str, inputs: ClassifierInputs
) -> tf.data.Dataset:
    """One pass over a split, in the records' order, the middle of every image.

    A purified copy next to its original is left out: an image counts once.

    Returns:
        Batches, dictionaries of `image`, uint8 `(batch, size, size, 3)`; `label`, int64
        `(batch,)`; and strings `(batch,)`: `image/key`, `source`, `patient/id`, `lesion/id`. The
        last batch may be smaller.

    Raises:
        MelanomaError: a folder is unfinished, or none has examples in the split.
    """
    records = RecordSet.read(folders)
    paths = records.shard_paths(split)

    def example(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        record = schema.parse(serialized, ("image/encoded", *_EVALUATED_FEATURES))
        return {"image": central_view(record.pop("image/encoded"), inputs), **record}

    copies = records.count(split=split, origin="purified")
    keep = stream.both(records.keep(split), stream.is_not_purified_copy if copies else None)
    stored = stream.read_shards(paths)
    stored = stored if keep is None else stored.filter(keep)
    examples = stored.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ordered(examples.batch(inputs.batch_size))


def central_view(
    encoded: tf.Tensor, inputs: ClassifierInputs, orientation: tf.Tensor | None = None
) -> tf.Tensor:
    """The middle of an encoded image as the network sees it outside training.

    Args:
        encoded: string scalar, a JPEG or PNG file.
        inputs: settings.
        orientation: see `images.loading.load_image`.

    Returns:
        uint8 `(size, size, 3)`.
    """
    size_px = inputs.image_size_px
    if inputs.test_purification != "none":
        image = loading.load_image(encoded, inputs.short_side_px, orientation)
        return _middle_purified(image, inputs)
    return loading.load_crop(
        encoded,
        inputs.short_side_px,
        size_px,
        lambda shape: loading.centre_corner(shape, size_px),
        orientation,
    )


def central_view_of(image: tf.Tensor, inputs: ClassifierInputs) -> tf.Tensor:
    """`central_view` of a decoded image, uint8 `(height, width, 3)` of any size."""
    image = loading.scale_image(image, inputs.short_side_px)
    if inputs.test_purification != "none":
        return _middle_purified(image, inputs)
    return loading.centre_crop(image, inputs.image_size_px)


def _training_view(
    encoded: tf.Tensor, inputs: ClassifierInputs, draws: classifier_augmentation.Draws
) -> tf.Tensor:
    size_px, varied = inputs.image_size_px, inputs.augmentation
    if inputs.purify_training:
        image = loading.load_image(encoded, inputs.short_side_px)
        return classifier_augmentation.view(_purified(image, inputs), draws, varied, size_px)
    return classifier_augmentation.load_view(
        encoded, draws, varied, short_side_px=inputs.short_side_px, size_px=size_px
    )


def _middle_purified(image: tf.Tensor, inputs: ClassifierInputs) -> tf.Tensor:
    # Purified before the crop, so that a hair is seen along its whole length.
    return loading.centre_crop(_purified(image, inputs), inputs.image_size_px)


def _purified(image: tf.Tensor, inputs: ClassifierInputs) -> tf.Tensor:
    return purify(image)[0] if inputs.purify_image is None else inputs.purify_image(image)[0]
