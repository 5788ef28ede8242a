"""Images/s of the input pipeline against `tf.io.decode_jpeg` alone on the same records.

python scripts/benchmarks/input_pipeline.py tfrecords/NAME --image-size 224
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from melanoma_tf.pipeline import stream
from melanoma_tf.pipeline.classifier import ClassifierInputs, training_batches
from melanoma_tf.records import schema
from melanoma_tf.records.manifest import read_manifest, shard_paths


def decode_alone(folder: Path, batch_size: int) -> tf.data.Dataset:
    """Parse and `decode_jpeg` in parallel, nothing else; one number a batch keeps it honest."""
    paths = shard_paths(folder, read_manifest(folder), "train")

    def decode(serialized):
        encoded = schema.parse(serialized, ("image/encoded",))["image/encoded"]
        return tf.shape(tf.io.decode_jpeg(encoded, channels=3))

    records = stream.read_shards(paths).repeat()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=3000, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    inputs = {
        augment: ClassifierInputs(options.image_size, options.batch_size, augment=augment)
        for augment in (False, True)
    }
    contenders = {
        "decode_jpeg alone": lambda: decode_alone(options.records, options.batch_size),
        "pipeline": lambda: training_batches(options.records, inputs[False]),
        "pipeline, augmented": lambda: training_batches(options.records, inputs[True]),
    }
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(options.rounds):  # Alternating rounds, so that noise hits all alike.
        for name, make in contenders.items():
            speed = images_per_second(make(), options.batch_size, options.images)
            best[name] = max(best[name], speed)
    for name, speed in best.items():
        ratio = speed / best["decode_jpeg alone"]
        print(f"{name:20s} {speed:8.0f} images/s   {ratio:.2f} of decode_jpeg alone")


if __name__ == "__main__":
    main()
