"""A round of adversarial training against a bare loop, and the cost of more classes, in one run.

    python scripts/benchmarks/gan.py --size 64 --batch 16

Prints seconds of a round by `Gan.train_step` and by the same networks and losses in a plain
`tf.function`; images generated per second by the model and by the bare network; and seconds of a
coupled round for 1, 3 and 7 classes. The sides take turns, and the median of their rounds counts.
Seconds are those of the processor, summed over its cores: a busy machine changes the clock's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from comparison import Comparison, add_json_option, write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.generation.adversarial import LATENTS_PER_EXAMPLE, Gan, build_gan
from melanoma_tf.generation.settings import GanSettings, StabiliserSettings


def model_of(classes: int, size: int, coupled: bool) -> Gan:
    settings = GanSettings(
        class_names=tuple(f"class{index}" for index in range(classes)),
        image_size_px=size,
        stabilisers=StabiliserSettings(differentiable_augmentation=False),
    )
    model = build_gan(settings, coupled=coupled)
    model.compile()
    return model


def batch_of(model: Gan, batch: int) -> tuple[tf.Tensor, tf.Tensor]:
    shape = model.architecture
    size = shape.image_size_px
    images = tf.random.stateless_uniform([batch, shape.classes, size, size, 3], (0, 1), -1, 1)
    latents = tf.random.stateless_normal([batch, LATENTS_PER_EXAMPLE, shape.latent_size], (0, 2))
    return images, latents


def bare_loop(model: Gan) -> Callable[[tuple[tf.Tensor, tf.Tensor]], None]:
    """The textbook round, without metrics, stabilisers or strategies."""
    generator, discriminator = model.generator, model.discriminator
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    optimizers[0].build(generator.trainable_variables)
    optimizers[1].build(discriminator.trainable_variables)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def round_of(data: tuple[tf.Tensor, tf.Tensor]) -> None:
        real, latents = data[0][:, 0], data[1][:, 0]
        with tf.GradientTape() as generator_tape:
            generated = generator(latents, training=True)
            with generator_tape.stop_recording(), tf.GradientTape() as tape:
                on_real = discriminator(real, training=True)[0]
                on_generated = discriminator(generated, training=True)[0]
                cost = loss(tf.fill(tf.shape(on_real), 0.9), on_real)
                cost += loss(tf.zeros_like(on_generated), on_generated)
            gradients = tape.gradient(cost, discriminator.trainable_variables)
            optimizers[1].apply_gradients(zip(gradients, discriminator.trainable_variables))
            labelled = discriminator(generated, training=True)[0]
            cost = loss(tf.ones_like(labelled), labelled)
        gradients = generator_tape.gradient(cost, generator.trainable_variables)
        optimizers[0].apply_gradients(zip(gradients, generator.trainable_variables))

    return round_of


def medians(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    for work in sides.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def coupled_round(classes: int, given: argparse.Namespace) -> Callable[[], object]:
    model = model_of(classes, given.size, coupled=True)
    step, data = tf.function(model.train_step), batch_of(model, given.batch)
    return lambda: step(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    add_json_option(parser)
    given = parser.parse_args()
    model = model_of(1, given.size, coupled=False)
    data, bare, step = batch_of(model, given.batch), bare_loop(model), tf.function(model.train_step)
    found = medians({"ours": lambda: step(data), "bare": lambda: bare(data)}, given.rounds)
    print(f"a round: {found['ours']:.3f} s, bare loop {found['bare']:.3f} s; "
          f"{found['bare'] / found['ours']:.2f} of its speed")  # fmt: skip
    rows = [Comparison(f"GAN training step, {given.size} px, {given.batch} images",
                       found["ours"], found["bare"], "s", "bare loop")]  # fmt: skip

    latents = data[1][:, 0]
    ours = tf.function(lambda one: model(one, training=False))
    network = tf.function(lambda one: model.generator(one, training=False))
    found = medians(
        {"ours": lambda: ours(latents), "bare": lambda: network(latents)}, 4 * given.rounds
    )
    speeds = {name: given.batch / value for name, value in found.items()}
    print(f"generation: {speeds['ours']:.0f} images/s, the bare network {speeds['bare']:.0f}; "
          f"ratio {speeds['ours'] / speeds['bare']:.2f}")  # fmt: skip
    rows.append(
        Comparison("generation", speeds["ours"], speeds["bare"], "images/s", "bare network")
    )

    sides = {str(classes): coupled_round(classes, given) for classes in (1, 3, 7)}
    found = medians(sides, given.rounds)
    for name, value in found.items():
        print(f"{name} coupled classes: {value:.3f} s a round, {value / found['1']:.2f} times one")
        if int(name) > 1:
            peer = f"{name} steps of one class"
            rows.append(Comparison(f"step of {name} coupled classes", value,
                                   int(name) * found["1"], "s", peer))  # fmt: skip
    write_json(given.json, rows)


if __name__ == "__main__":
    main()
