"""Records -> the endless stream of examples that training sees: shuffled, expanded or balanced.

Each stream is a pure function of records and settings that can begin at any example. Its elements
are `(number, serialized, view)`: int64, string, int64 scalars; the view is a row of `view_table`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.classification.batches import check_batches, count_images, examples_by_class
from melanoma_tf.classification.expansion_plan import ORIGINS, ExpansionPlan
from melanoma_tf.classification.settings import BatchSettings
from melanoma_tf.records import schema, stream
from melanoma_tf.records.parts import WHOLE, Part
from melanoma_tf.records.record_set import RecordSet

_REAL = ("real", "purified")
_HASH_BUCKETS = 2**31 - 1


def sample_examples(
    records: RecordSet,
    settings: BatchSettings,
    *,
    seed: int,
    window: int,
    first_example: int = 0,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """The stream of training examples.

    Args:
        records: record folders with training examples.
        settings: which are seen how often.
        seed: of the order.
        window: most records that are shuffled among each other, see `stream.bounded_window`.
        first_example: how many examples of the stream to leave out.
        part: of the input that is read.

    Raises:
        MelanomaError: see `batches.check_batches`, or no folder has a `train` split.
    """
    paths = records.shard_paths("train")
    check_batches(records, settings)
    plan = settings.plan
    streams = 1
    if settings.balance == "batch":
        # A class may take its generated images from a stream of their own.
        limited = settings.generated_fraction is not None
        streams = len(records.class_names) * (2 if limited else 1)
    window = stream.bounded_window(window, records.manifests, "train", streams)
    if settings.balance == "batch":
        balanced = _balanced(records, settings, seed, window, first_example, part)
        return balanced.map(lambda number, one: (number, one, tf.constant(0, tf.int64)))
    keep = None
    if count_images(records, settings) != records.count(split="train"):
        keep = _belongs(settings.origins)
    draw = functools.partial(
        stream.shuffled_stream,
        paths,
        seed=seed,
        window=window,
        first_example=first_example,
        keep=stream.both(keep, records.keep("train")),
        part=part,
    )
    examples = sum(examples_by_class(records, settings))
    if plan is None:
        return draw(examples).map(lambda number, one: (number, one, tf.constant(0, tf.int64)))
    expand = _expansion(plan, records.class_names, seed)
    # Every pass over the records shows each image in one view, so that all epoch long the stream
    # is mixed like the whole.
    expanded = draw(examples // len(plan.views), expand=expand)
    return expanded.map(lambda number, example: (number, *example))


def view_table(plan: ExpansionPlan) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """The views of a plan: those of images as they are, then those of their mirror images.

    Returns:
        bool `(2 * views, 2)`, flipped top to bottom and left to right; and float32 of that shape,
        row and column of the crop, as the network sees them.
    """
    flips = [(one.flipped, mirrored) for mirrored in (False, True) for one in plan.views]
    # Mirrored first and cropped then: the crop's column counts from the other side.
    places = [
        (one.row, 1.0 - one.column if mirrored else one.column)
        for mirrored in (False, True)
        for one in plan.views
    ]
    return np.array(flips, np.bool_), np.array(places, np.float32)


def _expansion(plan: ExpansionPlan, class_names: tuple[str, ...], seed: int) -> stream.Expand:
    """Each record once, or twice where it is mirrored, with one of its views that are left."""
    views = len(plan.views)
    mirrored = np.array(
        [[origin in plan.mirrored[name] for origin in ORIGINS] for name in class_names], np.int64
    )

    def expand(which: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = schema.parse(records, ("label", "origin", "image/key"))
        is_origin = parsed["origin"][:, tf.newaxis] == tf.constant(ORIGINS)
        column = tf.argmax(is_origin, axis=1)
        twice = tf.gather_nd(tf.constant(mirrored), tf.stack([parsed["label"], column], 1))
        place = tf.repeat(tf.range(tf.shape(records)[0]), 1 + twice)
        # The second sighting of a record is its mirror image.
        again = tf.concat([[False], place[1:] == place[:-1]], 0)
        half = tf.cast(again, tf.int64)
        epoch, pass_of_epoch = which // views, which % views
        base = _nth_view(tf.gather(parsed["image/key"], place), half, epoch, pass_of_epoch)
        return tf.gather(records, place), half * views + base

    def _nth_view(keys: tf.Tensor, half: tf.Tensor, epoch: tf.Tensor, nth: tf.Tensor) -> tf.Tensor:
        """A permutation of the views for each image and epoch, independent of its window."""
        stem = [tf.constant(str(seed)), tf.strings.as_string(epoch)]
        ranks = [
            tf.strings.to_hash_bucket_fast(
                tf.strings.join([*stem, str(view), tf.strings.as_string(half), keys], "/"),
                _HASH_BUCKETS,
            )
            for view in range(views)
        ]
        order = tf.argsort(tf.stack(ranks, 1), axis=1, stable=True)
        return tf.cast(tf.gather(order, nth, axis=1), tf.int64)

    return expand


def _balanced(
    records: RecordSet,
    settings: BatchSettings,
    seed: int,
    window: int,
    first_example: int,
    part: Part,
) -> tf.data.Dataset:
    """One example of each class in turn, so that any run of them is balanced to within one."""
    classes = len(records.class_names)
    turn, within = divmod(first_example, classes)
    by_class = [
        _of_class(records, settings, label, seed, window, turn, part) for label in range(classes)
    ]
    turns = tf.data.Dataset.zip(tuple(by_class)).map(lambda *drawn: tf.stack(drawn))
    numbered = turns.unbatch().enumerate(turn * classes).skip(within)
    return numbered.map(lambda number, one: (part.number(number), one))


def _of_class(
    records: RecordSet,
    settings: BatchSettings,
    label: int,
    seed: int,
    window: int,
    first_example: int,
    part: Part,
) -> tf.data.Dataset:
    """The stream of a class: serialised records."""
    name = records.class_names[label]

    def draw(origins: tuple[str, ...], own_seed: int, first: int) -> tf.data.Dataset:
        numbered = stream.shuffled_stream(
            records.shard_paths("train"),
            count_images(records, settings, name, origins),
            seed=own_seed,
            window=window,
            first_example=first,
            keep=stream.both(_belongs(origins or settings.origins, label), records.keep("train")),
            part=part,
        )
        return numbered.map(lambda _, serialized: serialized)

    everything = count_images(records, settings, name)
    generated = count_images(records, settings, name, ("generated",))
    limit = settings.generated_fraction
    if limit is None or generated / everything <= limit:
        return draw((), seed + label, first_example)
    real = tuple(origin for origin in settings.origins or _REAL if origin in _REAL)
    if not limit:
        return draw(real, seed + label, first_example)
    before = generated_before(limit, first_example, seed, label)
    sources = [
        draw(real, seed + label, first_example - before),
        draw(("generated",), seed + label, before),
    ]
    return tf.data.Dataset.choose_from_datasets(
        sources, _is_generated(limit, _phase(seed, label), first_example)
    )


def generated_before(limit: float, draws: int, seed: int, label: int) -> int:
    """Return how many of the first draws of a class with a limit are generated images.

    Never one more or less than `limit * draws`; over seeds, that many on average.
    """
    return int(np.floor(limit * draws + _phase(seed, label)))


def _phase(seed: int, label: int) -> float:
    return float(np.random.default_rng([seed % 2**32, label]).random())


def _is_generated(limit: float, phase: float, first_draw: int) -> tf.data.Dataset:
    """1 at the draws of a class that take a generated image, 0 at others."""

    def chosen(draw: tf.Tensor) -> tf.Tensor:
        before = tf.floor(limit * tf.cast(tf.stack([draw, draw + 1]), tf.float64) + phase)
        return tf.cast(before[1] - before[0], tf.int64)

    return tf.data.Dataset.range(first_draw, tf.int64.max).map(chosen)


def _belongs(
    origins: tuple[str, ...], label: int | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Tells of a serialised record whether it is of one of the origins (any if ()) and a class."""

    def belongs(serialized: tf.Tensor) -> tf.Tensor:
        record = schema.parse(serialized, ("label", "origin"))
        wanted = tf.reduce_any(record["origin"] == tf.constant(origins or ORIGINS))
        return wanted if label is None else wanted & (record["label"] == label)

    return belongs
