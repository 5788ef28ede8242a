"""The joint training of a generator and a discriminator, of one class or of several coupled ones.

Bisla et al. 2019, Sections 3.3.2 and 6.3; stabilisers of Salimans et al. 2016 and later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.core.settings import Settings
from melanoma_tf.generation import coupled_dcgan, dcgan
from melanoma_tf.generation.differentiable_augmentation import augment
from melanoma_tf.generation.settings import (
    DiscriminatorSettings,
    GanSettings,
    StabiliserSettings,
)
from melanoma_tf.training.schedules import Rate

# "Two rounds of additional generator training after every 10th round" (Section 3.3.2).
ROUNDS, EXTRA_UPDATES = 10, 2
LATENTS_PER_EXAMPLE = 1 + EXTRA_UPDATES


@dataclass(frozen=True)
class GanArchitecture(Settings):
    """The architecture of both networks.

    Attributes:
        classes: the number of classes.
        coupled: the networks of Table 5, also for a single class; else those of Table 2, for one.
        image_size_px, latent_size, discriminator: see `GanSettings`.
    """

    classes: int
    coupled: bool
    image_size_px: int
    latent_size: int
    discriminator: DiscriminatorSettings


@keras.saving.register_keras_serializable(package="melanoma_tf")
class Gan(keras.Model):
    """A generator and a discriminator that are trained against each other.

    A batch is a pair: real images, float32 `(batch, classes, size, size, 3)` RGB in [-1, 1], and
    latent vectors, `(batch, 3, latent_size)`: the first for the joint round, the others for the
    extra updates of the generator. As they come with the examples, a resumed or a distributed
    training sees the same ones.

    Args:
        architecture: JSON values of `GanArchitecture`.
        stabilisers: JSON values of `StabiliserSettings`.
        seed: of the random draws of a training.
    """

    def __init__(
        self,
        architecture: dict[str, Any],
        stabilisers: dict[str, Any],
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        self.architecture = GanArchitecture.from_json(architecture)
        self.stabilisers = StabiliserSettings.from_json(stabilisers)
        self.seed = seed
        self.generator, self.discriminator = _networks(self.architecture)
        self.built = True
        self._extra = False
        if self.stabilisers.historical_averaging:
            self.mean_generator = _means(self.generator)
            self.mean_discriminator = _means(self.discriminator)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "architecture": self.architecture.to_json(),
            "stabilisers": self.stabilisers.to_json(),
            "seed": self.seed,
        }

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """From `(batch, latent_size)` to RGB in [-1, 1], `(batch, classes, size, size, 3)`."""
        images = self.generator(latents, training=training)
        return images if self.architecture.coupled else images[:, tf.newaxis]

    def compile(
        self, learning_rate: Rate = 2e-4, discriminator_rate: Rate | None = None, **options: Any
    ) -> None:
        """Give both networks Adam with betas of 0.5 and 0.999, and make the metrics.

        Args:
            learning_rate: of the generator; a schedule counts its updates, see `updates`.
            discriminator_rate: of the discriminator; None takes the generator's.
            options: of `keras.Model.compile`.
        """
        super().compile(optimizer=_adam(learning_rate), **options)
        # The generator's is the model's own, which has been wrapped for mixed precision.
        self.discriminator_optimizer = _adam(discriminator_rate or learning_rate)
        if isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer):
            self.discriminator_optimizer = keras.mixed_precision.LossScaleOptimizer(
                self.discriminator_optimizer
            )
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        names = ("loss", "generator_loss", "discriminator_loss", "d_real", "d_generated")
        self._epoch_means = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics, which are reset with every epoch."""
        return list(self._epoch_means.values())

    def make_train_function(self, force: bool = False) -> Callable[[Iterator], dict[str, Any]]:
        """A step with the extra updates after every tenth round, a plain one otherwise."""
        plain = super().make_train_function(force=True)
        extra = super().make_train_function(force=True)
        rounds = int(self.discriminator_optimizer.iterations.numpy())

        def train_function(iterator: Iterator) -> dict[str, Any]:
            nonlocal rounds
            rounds += 1
            # Read when the function is traced, which happens at its first call.
            self._extra = rounds % ROUNDS == 0
            return (extra if self._extra else plain)(iterator)

        self.train_function = train_function
        return train_function

    @tf.autograph.experimental.do_not_convert  # No loops and branches of the graph in it.
    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A joint round: the discriminator first, then the generator against it."""
        real, latents = data
        draw = _Draws(self.seed, self.discriminator_optimizer.iterations)
        with tf.GradientTape() as generator_tape:
            generated = self(latents[:, 0], training=True)
            with generator_tape.stop_recording():
                losses = self._train_discriminator(real, generated, draw)
            loss = self._generator_loss(real, generated, draw)
            scaled = self._scaled(loss, self.optimizer)
        self._apply(generator_tape, scaled, self.generator, self.optimizer)
        if self._extra:
            for index in range(1, LATENTS_PER_EXAMPLE):
                self._train_generator(real, latents[:, index], draw)
        self._remember()
        values = {**losses, "generator_loss": loss, "loss": loss + losses["discriminator_loss"]}
        for name, value in values.items():
            self._epoch_means[name].update_state(value)
        return {name: mean.result() for name, mean in self._epoch_means.items()}

    def _train_discriminator(
        self, real: tf.Tensor, generated: tf.Tensor, draw: _Draws
    ) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            on_real, _ = self.discriminator(self._shown(real, draw), training=True)
            on_generated, _ = self.discriminator(self._shown(generated, draw), training=True)
            target = 1.0 - self.stabilisers.label_smoothing
            loss = _entropy(on_real, target) + _entropy(on_generated, 0.0)
            loss += self._distance_to_history("discriminator")
            scaled = self._scaled(loss, self.discriminator_optimizer)
        self._apply(tape, scaled, self.discriminator, self.discriminator_optimizer)
        return {
            "discriminator_loss": loss,
            "d_real": tf.reduce_mean(tf.sigmoid(on_real)),
            "d_generated": tf.reduce_mean(tf.sigmoid(on_generated)),
        }

    def _train_generator(self, real: tf.Tensor, latents: tf.Tensor, draw: _Draws) -> None:
        with tf.GradientTape() as tape:
            loss = self._generator_loss(real, self(latents, training=True), draw)
            scaled = self._scaled(loss, self.optimizer)
        self._apply(tape, scaled, self.generator, self.optimizer)

    def _generator_loss(self, real: tf.Tensor, generated: tf.Tensor, draw: _Draws) -> tf.Tensor:
        logits, features = self.discriminator(self._shown(generated, draw), training=True)
        loss = _entropy(logits, 1.0) + self._distance_to_history("generator")
        if self.stabilisers.feature_matching:
            _, wanted = self.discriminator(self._shown(real, draw), training=True)
            means = [tf.reduce_mean(tf.cast(each, tf.float32), 0) for each in (wanted, features)]
            distance = tf.reduce_mean(tf.math.squared_difference(*means))
            loss += self.stabilisers.feature_matching * distance
        return loss

    def _shown(self, images: tf.Tensor, draw: _Draws) -> tf.Tensor:
        """Images with the stabilisers' augmentation and noise."""
        images = images if self.architecture.coupled else images[:, 0]
        shape = tf.shape(images)
        if self.stabilisers.differentiable_augmentation:
            size = self.architecture.image_size_px
            flat = augment(tf.reshape(images, [-1, size, size, 3]), draw.seed())
            images = tf.reshape(flat, shape)
        if self.stabilisers.instance_noise:
            noise = tf.random.stateless_normal(shape, draw.seed())
            images += self.stabilisers.instance_noise * noise
        return images

    def _scaled(self, loss: tf.Tensor, optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
        # Gradients are summed over the replicas, each of which has taken the mean of its part.
        loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
        if isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
            return optimizer.get_scaled_loss(loss)
        return loss

    def _apply(
        self,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
    ) -> None:
        gradients = tape.gradient(loss, network.trainable_variables)
        if isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables))

    def _distance_to_history(self, which: str) -> tf.Tensor:
        weight = self.stabilisers.historical_averaging
        if not weight:
            return tf.constant(0.0)
        pairs = zip(getattr(self, which).trainable_variables, getattr(self, f"mean_{which}"))
        return weight * tf.add_n(
            [tf.reduce_sum(tf.math.squared_difference(now, mean)) for now, mean in pairs]
        )

    def _remember(self) -> None:
        if not self.stabilisers.historical_averaging:
            return
        weight = 1.0 / (tf.cast(self.discriminator_optimizer.iterations, tf.float32) + 1.0)
        for which in ("generator", "discriminator"):
            pairs = zip(getattr(self, which).trainable_variables, getattr(self, f"mean_{which}"))
            for now, mean in pairs:
                mean.assign(mean + weight * (now - mean))


class _Draws:
    """Seeds, each used once: pure functions of the run's seed, the round and the replica."""

    def __init__(self, seed: int, step: tf.Variable):
        context = tf.distribute.get_replica_context()
        replica = 0 if context is None else context.replica_id_in_sync_group
        self._key = tf.random.experimental.stateless_fold_in(
            tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)]), replica
        )
        self._used = 0

    def seed(self) -> tf.Tensor:
        self._used += 1
        return tf.random.experimental.stateless_fold_in(self._key, self._used)


def _networks(architecture: GanArchitecture) -> tuple[keras.Model, keras.Model]:
    size, latent = architecture.image_size_px, architecture.latent_size
    chosen = architecture.discriminator
    if architecture.coupled:
        return (
            coupled_dcgan.build_coupled_generator(architecture.classes, size, latent),
            coupled_dcgan.build_coupled_discriminator(architecture.classes, size, chosen),
        )
    return dcgan.build_generator(size, latent), dcgan.build_discriminator(size, chosen)


def build_gan(settings: GanSettings, *, coupled: bool) -> Gan:
    """Build the networks of resolved settings, whose classes are named.

    Args:
        settings: with `class_names`.
        coupled: see `GanArchitecture`.
    """
    architecture = GanArchitecture(
        classes=len(settings.class_names),
        coupled=coupled,
        image_size_px=settings.image_size_px,
        latent_size=settings.latent_size,
        discriminator=settings.discriminator,
    )
    return Gan(architecture.to_json(), settings.stabilisers.to_json(), settings.seed)


def updates(rounds: int) -> int:
    """The number of updates of the generator in a number of rounds."""
    return rounds + rounds // ROUNDS * EXTRA_UPDATES


def _adam(learning_rate: Rate) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=0.999)


def _entropy(logits: tf.Tensor, target: float) -> tf.Tensor:
    """Mean binary cross-entropy, from logits: the logarithm of a sigmoid overflows."""
    targets = tf.fill(tf.shape(logits), target)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


def _means(network: keras.Model) -> list[tf.Variable]:
    return [
        tf.Variable(each, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        for each in network.trainable_variables
    ]
