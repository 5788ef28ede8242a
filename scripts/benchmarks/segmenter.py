"""The segmenter against plain layers, and `segment` against the bare network, in one run.

    python scripts/benchmarks/segmenter.py network --base-filters 16 64 --input-size 380
    python scripts/benchmarks/segmenter.py folder DIR

`network` prints seconds per image of a train step and of inference, of the network of Table 1 as
`build_segmenter` makes it, and of the same network put together from plain `ZeroPadding2D` and
`Conv2D` layers, and the ratios. `folder` prints images per second of `segment_files` over a folder
and of the network alone on the same images, already squeezed, in batches of the same size. Both
sides take turns, and the best time of each counts: other programs may share the cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.images import masks
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.predict import image_files, load_segmenter, segment_files


def plain_network(model: keras.Model) -> keras.Model:
    """The same layers with every transposed convolution as zero padding and a convolution."""

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Conv2DTranspose):
            return layer.__class__.from_config(layer.get_config())
        dilation = layer.dilation_rate[0]
        convolution = keras.layers.Conv2D(
            layer.filters, 3, dilation_rate=dilation, use_bias=layer.use_bias, name=layer.name
        )
        padding = keras.layers.ZeroPadding2D(2 * dilation)
        return keras.Sequential([padding, convolution], name=layer.name)

    return keras.models.clone_model(model, clone_function=plain)


def steps(model: keras.Model, batch: int, size: int) -> dict[str, Callable[[], tf.Tensor]]:
    images = tf.random.stateless_uniform((batch, size, size, 3), (0, 1), 0, 255)
    truth = tf.cast(images[..., :1] > 128, tf.float32)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            entropy = keras.losses.binary_crossentropy(truth, model(images, training=True))
            loss = tf.reduce_mean(entropy)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    @tf.function
    def infer() -> tf.Tensor:
        return tf.reduce_sum(model(images, training=False))

    return {"train step": train, "inference": infer}


def best_times(functions: dict[str, Callable[[], tf.Tensor]], repeats: int) -> dict[str, float]:
    """Seconds of the fastest of some calls of each, taken in turns after one to warm up."""
    best = dict.fromkeys(functions, float("inf"))
    for function in functions.values():
        function().numpy()
    for _ in range(repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            function().numpy()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def measure_network(filters: list[int], size: int, batch: int, repeats: int) -> list[Comparison]:
    rows = []
    for base_filters in filters:
        ours = build_segmenter(size, base_filters)
        plain = plain_network(ours)
        if ours.count_params() != plain.count_params():
            raise SystemExit("expected two networks of the same weights")
        for what in ("train step", "inference"):
            pair = {
                "ours": steps(ours, batch, size)[what],
                "plain": steps(plain, batch, size)[what],
            }
            found = best_times(pair, repeats)
            print(
                f"{base_filters} filters at {size} px, {what}: {found['ours'] / batch:.3f} s an "
                f"image, plain layers {found['plain'] / batch:.3f} s; "
                f"{found['plain'] / found['ours']:.2f} times as fast",
                flush=True,
            )
            work = f"{base_filters} filters at {size} px, {what}"
            rows.append(Comparison(work, found["ours"], found["plain"], "s", "plain Keras layers"))
    return rows


def measure_folder(folder: Path, batch: int, repeats: int) -> list[Comparison]:
    segmenter = load_segmenter()
    paths = image_files(folder).paths
    paths = paths[: len(paths) // batch * batch]
    if not paths:
        raise SystemExit(f"expected at least {batch} images in {folder}")
    images = [
        tf.io.decode_image(tf.io.read_file(str(p)), 3, expand_animations=False) for p in paths
    ]
    squares = tf.stack([masks.squeeze(image, segmenter.square_px) for image in images])
    forward = float("inf")
    command = float("inf")
    for attempt in range(repeats + 1):
        started = time.perf_counter()
        for start in range(0, len(paths), batch):
            segmenter.probabilities(squares[start : start + batch]).numpy()
        middle = time.perf_counter()
        for _ in segment_files(paths, segmenter, batch_size=batch):
            pass
        if attempt:  # The first warms up.
            forward = min(forward, middle - started)
            command = min(command, time.perf_counter() - middle)
    print(
        f"{len(paths)} images: segment {len(paths) / command:.1f} images/s, the network alone "
        f"{len(paths) / forward:.1f}; share {forward / command:.2f}"
    )
    rates = len(paths) / command, len(paths) / forward
    return [Comparison(f"segment, {len(paths)} images", *rates, "images/s", "network alone")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    network = commands.add_parser("network")
    network.add_argument("--base-filters", type=int, nargs="+", default=[16, 64])
    network.add_argument("--input-size", type=int, default=380)
    network.add_argument("--batch-size", type=int, default=1)
    network.add_argument("--repeats", type=int, default=5)
    folder = commands.add_parser("folder")
    folder.add_argument("folder", type=Path)
    folder.add_argument("--batch-size", type=int, default=8)
    folder.add_argument("--repeats", type=int, default=3)
    for each in (network, folder):
        add_json_option(each)
    given = parser.parse_args()
    if given.command == "network":
        found = measure_network(
            given.base_filters, given.input_size, given.batch_size, given.repeats
        )
    else:
        found = measure_folder(given.folder, given.batch_size, given.repeats)
    write_json(given.json, found)


if __name__ == "__main__":
    main()
