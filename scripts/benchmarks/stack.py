"""Processor time of the same work on the stack that runs it; run it on both and compare.

    .venv/bin/python scripts/benchmarks/stack.py
    .venv-newest/bin/python scripts/benchmarks/stack.py

Processor seconds of one process, least of some repetitions: other work on the machine changes them
less than it changes the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np
import tensorflow as tf

from melanoma_tf.backbones.classifier import build_classifier
from melanoma_tf.core.keras import keras
from melanoma_tf.generation.adversarial import LATENTS_PER_EXAMPLE, build_gan
from melanoma_tf.generation.settings import GanSettings
from melanoma_tf.phantoms.image import PhantomSettings, draw_phantom
from melanoma_tf.segmentation.network import build_segmenter

ROOT = Path(__file__).resolve().parents[2]


def supervised_step(model: keras.Model, size_px: int, batch: int) -> Callable[[], object]:
    """A step of Adam on the mean square of the outputs."""
    images = tf.random.stateless_uniform((batch, size_px, size_px, 3), (0, 1), 0, 255)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return lambda: train().numpy()


def gan_step(size_px: int, batch: int) -> Callable[[], object]:
    model = build_gan(GanSettings(class_names=("nevus",), image_size_px=size_px), coupled=False)
    model.compile()
    images = tf.random.stateless_uniform([batch, 1, size_px, size_px, 3], (0, 1), -1, 1)
    shape = [batch, LATENTS_PER_EXAMPLE, model.architecture.latent_size]
    latents = tf.random.stateless_normal(shape, (0, 2))
    step = tf.function(lambda: model.train_step((images, latents)))
    return lambda: {name: float(value) for name, value in step().items()}


def forward(model: keras.Model, size_px: int, batch: int) -> Callable[[], object]:
    images = tf.random.stateless_uniform((batch, size_px, size_px, 3), (0, 1), 0, 255)
    infer = tf.function(lambda: model(images, training=False))
    return lambda: infer().numpy()


def least(work: Callable[[], object], repeats: int) -> float:
    """Processor seconds of the cheapest call, after one that compiles."""
    work()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def command(*arguments: str) -> float:
    """Processor seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cold_starts(repeats: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        phantom = draw_phantom("nevus", 0, PhantomSettings((450, 600), hairs=1)).image
        cv2.imwrite(str(photo), np.ascontiguousarray(phantom[..., ::-1]))
        runs = {
            "import tensorflow": ("-c", "import tensorflow"),
            "segment, one photograph": (
                *("-m", "melanoma_tf", "segment", str(photo), "--overwrite", "--output"),
                folder + "/masks",
            ),
            "purify, one photograph": (
                *("-m", "melanoma_tf", "purify", str(photo), "--overwrite", "--output"),
                folder + "/purified",
            ),
        }
        return {name: min(command(*run) for _ in range(repeats)) for name, run in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--starts", type=int, default=3)
    options = parser.parse_args()
    classifier = build_classifier(backbone="small", num_classes=3, image_size_px=96)
    segmenter = build_segmenter(128, 8, padding="same", normalization="batch")
    work = {
        "classifier `small`, 96 px, 16 images, train step": supervised_step(classifier, 96, 16),
        "segmenter, 128 px, 4 images, train step": supervised_step(segmenter, 128, 4),
        "DCGAN, 64 px, 16 images, train step": gan_step(64, 16),
        "segmenter, 128 px, 4 images, forward": forward(segmenter, 128, 4),
        "classifier `small`, 96 px, 16 images, forward": forward(classifier, 96, 16),
    }
    print(f"TensorFlow {tf.__version__}, Python {sys.version.split()[0]}", flush=True)
    for name, function in work.items():
        print(f"{name}: {least(function, options.repeats):.3f} cpu s", flush=True)
    for name, seconds in cold_starts(options.starts).items():
        print(f"{name}: {seconds:.2f} cpu s", flush=True)


if __name__ == "__main__":
    main()
