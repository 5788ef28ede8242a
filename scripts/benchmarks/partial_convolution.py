"""Partial convolutions against plain ones of the same size, in one run.

    python scripts/benchmarks/partial_convolution.py

Prints milliseconds of the processor, of all cores together, for a forward pass and for a training
step (forward, and the gradient of kernel and features) of `PartialConv2D` and of
`keras.layers.Conv2D`, and their ratio. Both take turns, and the shortest time of each counts:
other programs may share the cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.purification.inpainter.partial_convolution import PartialConv2D

# Side of the image in pixels, channels in and out, kernel, stride: layers of the network.
LAYERS = ((256, 3, 64, 7, 2), (128, 64, 128, 5, 2), (128, 192, 64, 3, 1), (32, 512, 512, 3, 1))


def steps(layer: Callable[[tf.Tensor], tf.Tensor], kernel: tf.Variable, images: tf.Tensor) -> tuple:
    """A forward pass and a training step, each traced and run once."""

    @tf.function
    def forward() -> tf.Tensor:
        return tf.reduce_sum(layer(images))

    @tf.function
    def training() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(tf.square(layer(images)))
        gradients = tape.gradient(loss, [images, kernel])
        return tf.reduce_sum(gradients[0]) + tf.reduce_sum(gradients[1])

    forward(), training()
    return forward, training


def milliseconds(step: Callable[[], tf.Tensor]) -> float:
    started = time.process_time()
    step().numpy()
    return 1000 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    add_json_option(parser)
    given = parser.parse_args()
    rows = []
    print(f"{'layer':>24} {'':>9} {'plain, ms':>10} {'partial, ms':>12} {'ratio':>6}")
    for side, channels, filters, size, stride in LAYERS:
        images = tf.random.normal([given.batch_size, side, side, channels])
        mask = tf.cast(tf.random.uniform([given.batch_size, side, side, 1]) > 0.1, tf.float32)
        plain = keras.layers.Conv2D(filters, size, stride, padding="same")
        partial = PartialConv2D(filters, size, strides=stride)
        plain(images), partial((images, mask))
        sides = (
            steps(plain, plain.kernel, images),
            steps(lambda x, p=partial, m=mask: p((x, m))[0], partial.kernel, images),
        )
        for index, what in enumerate(("forward", "training")):
            times = [[milliseconds(one[index]) for one in sides] for _ in range(given.rounds)]
            one, other = (min(column) for column in zip(*times))
            name = f"{side} px, {channels}->{filters}, {size}x{size}/{stride}"
            print(f"{name:>24} {what:>9} {one:10.2f} {other:12.2f} {other / one:6.2f}")
            rows.append(Comparison(f"{name}, {what}", other, one, "ms", "plain convolution"))
    write_json(given.json, rows)


if __name__ == "__main__":
    main()
