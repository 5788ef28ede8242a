"""Images/s of the input pipeline against `tf.io.decode_jpeg` alone on the same records.

python scripts/benchmarks/input_pipeline.py tfrecords/NAME --image-size 224

Several folders are mixed, as in training.
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

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

NO_WARP = "strong, no elastic warp"
# Settings of the pipeline that are measured, next to bare decoding.
WAYS: dict[str, tuple[str, AugmentationSettings]] = {
    "pipeline": ("none", AugmentationSettings("none")),
    "standard augmentation": ("none", AugmentationSettings("standard")),
    "standard, balanced": ("batch", AugmentationSettings("standard")),
    "strong augmentation": ("none", AugmentationSettings("strong")),
    NO_WARP: ("none", AugmentationSettings("strong")),
    "standard, mixup and cutmix": (
        "none",
        AugmentationSettings("standard", mixup=0.2, cutmix=1.0),
    ),
    "strong, balanced, mixed": ("batch", AugmentationSettings("strong", mixup=0.2, cutmix=1.0)),
}


def decode_alone(records: RecordSet, batch_size: int) -> tf.data.Dataset:
    """Parse and `decode_jpeg` in parallel, nothing else; one number a batch keeps it honest."""

    def decode(serialized):
        encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
        return tf.shape(tf.io.decode_jpeg(encoded, channels=3))

    records = stream.read_shards(records.shard_paths("train")).repeat()
    return records.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(2)


def images_per_second(batches: tf.data.Dataset, batch_size: int, count: int) -> float:
    steps = count // batch_size
    iterator = iter(batches)
    for _ in range(3):
        next(iterator)
    started = time.perf_counter()
    for _ in range(steps):
        next(iterator)
    return steps * batch_size / (time.perf_counter() - started)


def contenders(
    records: RecordSet, image_size_px: int, batch_size: int
) -> dict[str, Callable[[], tf.data.Dataset]]:
    """By name, what makes the batches; a way that these records do not allow is left out."""

    def batches(name: str) -> Callable[[], tf.data.Dataset]:
        balance, augmentation = WAYS[name]
        settings = ClassifierSettings(
            batch_size=batch_size,
            network=NetworkSettings(image_size_px=image_size_px),
            batches=BatchSettings(balance=balance),
            augmentation=augmentation,
        )
        inputs = classifier_inputs(settings)
        if name == NO_WARP:
            still = dataclasses.replace(inputs.augmentation, elastic=0.0)
            inputs = dataclasses.replace(inputs, augmentation=still)
        return lambda: training_batches(records.folders, inputs)

    every_class = all(examples_by_class(records, BatchSettings()))
    allowed = [name for name, (balance, _) in WAYS.items() if balance == "none" or every_class]
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
    options = parser.parse_args()
    ways = contenders(RecordSet.read(options.records), options.image_size, options.batch_size)
    best = dict.fromkeys(ways, 0.0)
    for _ in range(options.rounds):  # Alternating rounds, so that noise hits all alike.
        for name, make in ways.items():
            speed = images_per_second(make(), options.batch_size, options.images)
            best[name] = max(best[name], speed)
    for name, speed in best.items():
        ratio = speed / best["decode_jpeg alone"]
        print(f"{name:26s} {speed:8.0f} images/s   {ratio:.2f} of decode_jpeg alone")


if __name__ == "__main__":
    main()
