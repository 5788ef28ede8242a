"""Processor time of the input pipeline for each image, and of `tf.io.decode_jpeg` alone.

    python scripts/benchmarks/input_pipeline.py tfrecords/NAME --image-size 224

Several folders are mixed, as in training. The strong augmentation is also measured with its parts
added one after another; the difference to the row before is a part's share. Rounds alternate and
the best of each counts.
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from melanoma_tf.classification.batches import examples_by_class
from melanoma_tf.classification.data import training_batches
from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.settings import (
    AugmentationSettings,
    BatchSettings,
    ClassifierSettings,
    NetworkSettings,
)
from melanoma_tf.records import schema, stream
from melanoma_tf.records.record_set import RecordSet

# Changes of the preset `strong` that leave out what comes later.
_NO_CUTOUT = {"cutout": 0.0}
_NO_COLOURS = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, **_NO_CUTOUT}
_NO_WARP = {"elastic": 0.0, **_NO_COLOURS}


class Way(NamedTuple):
    """Settings of the pipeline that are measured, next to bare decoding."""

    augmentation: AugmentationSettings
    balance: str = "none"
    without: Mapping[str, float] = MappingProxyType({})


WAYS = {
    "pipeline": Way(AugmentationSettings("none")),
    "standard augmentation": Way(AugmentationSettings("standard")),
    "standard, balanced": Way(AugmentationSettings("standard"), "batch"),
    "strong: crop, rotation, scale": Way(AugmentationSettings("strong"), without=_NO_WARP),
    "  and elastic warp": Way(AugmentationSettings("strong"), without=_NO_COLOURS),
    "  and colours": Way(AugmentationSettings("strong"), without=_NO_CUTOUT),
    "strong augmentation": Way(AugmentationSettings("strong")),
    "strong, no elastic warp": Way(AugmentationSettings("strong"), without={"elastic": 0.0}),
    "standard, mixup and cutmix": Way(AugmentationSettings("standard", mixup=0.2, cutmix=1.0)),
    "strong, balanced, mixed": Way(AugmentationSettings("strong", mixup=0.2, cutmix=1.0), "batch"),
}


def decode_alone(records: RecordSet, batch_size: int) -> tf.data.Dataset:
    """Parse and `decode_jpeg` in parallel, nothing else; one number a batch keeps it honest."""

    def decode(serialized):
        encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
        return tf.shape(tf.io.decode_jpeg(encoded, channels=3))

    records = stream.read_shards(records.shard_paths("train")).repeat()
    return records.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(2)


def seconds_per_image(batches: tf.data.Dataset, batch_size: int, count: int) -> float:
    """Processor time, of all threads."""
    steps = count // batch_size
    iterator = iter(batches)
    for _ in range(3):
        next(iterator)
    started = time.process_time()
    for _ in range(steps):
        next(iterator)
    return (time.process_time() - started) / (steps * batch_size)


def contenders(
    records: RecordSet, image_size_px: int, batch_size: int
) -> dict[str, Callable[[], tf.data.Dataset]]:
    """By name, what makes the batches; a way that these records do not allow is left out."""

    def batches(name: str) -> Callable[[], tf.data.Dataset]:
        way = WAYS[name]
        settings = ClassifierSettings(
            batch_size=batch_size,
            network=NetworkSettings(image_size_px=image_size_px),
            batches=BatchSettings(balance=way.balance),
            augmentation=way.augmentation,
        )
        inputs = classifier_inputs(settings)
        varied = dataclasses.replace(inputs.augmentation, **way.without)
        inputs = dataclasses.replace(inputs, augmentation=varied)
        return lambda: training_batches(records.folders, inputs)

    every_class = all(examples_by_class(records, BatchSettings()))
    allowed = [name for name, way in WAYS.items() if way.balance == "none" or every_class]
    for name in sorted(set(WAYS) - set(allowed)):
        print(f"left out, since a class has no training image: {name}")
    return {
        "decode_jpeg alone": lambda: decode_alone(records, batch_size),
        **{name: batches(name) for name in allowed},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=3000, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    add_json_option(parser)
    options = parser.parse_args()
    ways = contenders(RecordSet.read(options.records), options.image_size, options.batch_size)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):  # Alternating rounds, so that noise hits all alike.
        for name, make in ways.items():
            seconds = seconds_per_image(make(), options.batch_size, options.images)
            best[name] = min(best[name], seconds)
    milliseconds = {name.strip(): 1000 * seconds for name, seconds in best.items()}
    for name, value in milliseconds.items():
        print(f"{name:30s} {value:6.2f} ms of processor time for each image")
    (alone, peer), *others = milliseconds.items()
    rows = [Comparison(name, value, peer, "ms", alone) for name, value in others]
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
