"""Train generative networks on a record folder, and draw images from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from melanoma_tf.generation import data as pipeline
from melanoma_tf.generation.adversarial import (
    LATENTS_PER_EXAMPLE,
    Gan,
    GanArchitecture,
    Stabilisers,
    updates,
)
from melanoma_tf.generation.monitor import DISTANCE, GanMonitor, Images, to_bytes
from melanoma_tf.records.manifest import Manifest, read_manifest
from melanoma_tf.training.run_config import run_config
from melanoma_tf.training.schedules import rate_by_name

KIND, COUPLED_KIND = "gan", "coupled-gan"
_LEAST_HELD_OUT = 8


@dataclass(frozen=True)
class GanSettings:
    """Everything that decides a generative network's training.

    Attributes:
        class_names: one for a DCGAN; several for coupled ones, none for all of the records.
        coupled: share a trunk between the classes.
        image_size_px: 64, 128 or 256.
        latent_size: length of the latent vectors; 0 is the paper's 10, or 100 where coupled.
        epochs: passes over the class with the fewest images, at least `steps_per_epoch` each.
        steps_per_epoch: rounds in an epoch; 0 is one pass over the class with the most images.
        batch_size: images of each class in a round, over all replicas.
        learning_rate, schedule: of both networks' Adam, see `training.schedules.rate_by_name`. A
            constant one as in the paper leaves a grain on the images: the fine detail of what is
            generated sways until the rate falls.
        label_smoothing, feature_matching, historical_averaging, instance_noise,
            differentiable_augmentation: see `generation.adversarial.Stabilisers`.
        spectral_normalization, minibatch_kernels: see `generation.dcgan.Discrimination`.
        average_momentum: of the moving average of the weights that images are drawn from.
        patience: epochs without a smaller sliced Wasserstein distance after which training stops;
            0 for never.
        collapse_fraction: warn where generated images differ by less than this share of what real
            ones do.
        strategy, replicas, mixed_precision: see `training`.
        seed: of weights, order and latent vectors.
    """

    class_names: tuple[str, ...] = ()
    coupled: bool = False
    image_size_px: int = 64
    latent_size: int = 0
    epochs: int = 300
    steps_per_epoch: int = 0
    batch_size: int = 32
    learning_rate: float = 2e-4
    schedule: str = "constant"
    label_smoothing: float = 0.1
    feature_matching: float = 0.0
    historical_averaging: float = 0.0
    instance_noise: float = 0.0
    differentiable_augmentation: bool = False
    spectral_normalization: bool = False
    minibatch_kernels: int = 0
    average_momentum: float = 0.99
    patience: int = 0
    collapse_fraction: float = 0.5
    strategy: str = "single"
    replicas: int = 0
    mixed_precision: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Sampler:
    """A trained generator.

    Attributes:
        class_names: of the images that a latent vector gives.
        image_size_px: side of the images.
        latent_size: length of the latent vectors.
        run_id: the run's name.
        images: from float32 `(vectors, latent_size)` to uint8 `(vectors, classes, size, size, 3)`.
    """

    class_names: tuple[str, ...]
    image_size_px: int
    latent_size: int
    run_id: str
    images: Callable[[npt.NDArray[np.float32]], Images]


def train_gan(
    records: Path,
    run_dir: Path,
    settings: GanSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train on the real images of the `train` split; the epoch nearest to held-out ones is kept.

    Held out are the real images of `validation` and `test`; where there are fewer than 8 of a
    class, the training images stand in, and a line says so.

    Args:
        records: a record folder.
        run_dir: the run folder to make, or to go on with.
        settings: see `GanSettings`.
        resume: go on with the run in `run_dir`, after its last finished epoch.
        overwrite: replace a run that is there.
        log: takes one line per epoch, and warnings.

    Returns:
        The history: for each metric its value by epoch.

    Raises:
        MelanomaError: unfinished records, an unknown class, fewer images of a class than a batch,
            impossible settings, an existing run folder, a loss that is not finite.
    """
    strategy = training.make_strategy(settings.strategy, settings.replicas)
    manifest = read_manifest(records)
    settings = _resolved(settings, manifest)
    _parts(settings)  # Refuses what is impossible, before anything is read.
    inputs = gan_inputs(settings)
    counts = pipeline.require_batches(records, inputs)
    steps = settings.steps_per_epoch or math.ceil(max(counts.values()) / settings.batch_size)
    kind = COUPLED_KIND if settings.coupled else KIND
    config = _config(kind, records, manifest, settings)
    run = training.Run(run_dir, config, resume, overwrite, (records,))
    watch = GanMonitor(
        _held_out(records, manifest, inputs, log),
        settings.latent_size,
        run.working / "logs",
        collapse_fraction=settings.collapse_fraction,
        seed=settings.seed,
        log=log,
    )
    return training.fit(
        lambda: _build(settings),
        lambda model: _compiled(model, settings, settings.epochs * steps),
        training=lambda done: pipeline.training_batches(records, inputs, first_example=done),
        validation=None,
        strategy=strategy,
        settings=_schedule(settings, steps),
        run=run,
        examples_per_step=settings.batch_size,
        measures=[watch],
        log=log,
    )


def _config(kind: str, records: Path, manifest: Manifest, settings: GanSettings) -> dict[str, Any]:
    config = run_config(kind, records, manifest, settings)
    return {**config, "class_names": list(settings.class_names)}


def _resolved(settings: GanSettings, manifest: Manifest) -> GanSettings:
    names = settings.class_names or manifest.class_names
    if not settings.coupled and len(names) != 1:
        raise MelanomaError(
            f"expected one class for a DCGAN of its own; found {', '.join(names)}. "
            "Coupled ones take several"
        )
    latent_size = settings.latent_size or (100 if settings.coupled else 10)
    return dataclasses.replace(settings, class_names=tuple(names), latent_size=latent_size)


def gan_inputs(settings: GanSettings) -> pipeline.GanInputs:
    """The settings of the input pipeline."""
    return pipeline.GanInputs(
        class_names=tuple(settings.class_names),
        image_size_px=settings.image_size_px,
        batch_size=settings.batch_size,
        latent_size=settings.latent_size,
        latents=LATENTS_PER_EXAMPLE,
        seed=settings.seed,
    )


def _parts(settings: GanSettings) -> tuple[GanArchitecture, Stabilisers]:
    given = dataclasses.asdict(settings)
    architecture, stabilisers = (
        {field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given}
        for kind in (GanArchitecture, Stabilisers)
    )
    classes = len(settings.class_names)
    return GanArchitecture(classes=classes, **architecture), Stabilisers(**stabilisers)


def _build(settings: GanSettings) -> Gan:
    architecture, stabilisers = _parts(settings)
    return Gan(dataclasses.asdict(architecture), dataclasses.asdict(stabilisers), settings.seed)


def _compiled(model: keras.Model, settings: GanSettings, rounds: int) -> keras.Model:
    generator, discriminator = (
        rate_by_name(settings.schedule, settings.learning_rate, steps)
        for steps in (updates(rounds), rounds)
    )
    model.compile(generator, discriminator)
    return model


def _schedule(settings: GanSettings, steps_per_epoch: int) -> training.FitSettings:
    return training.FitSettings(
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        mixed_precision=settings.mixed_precision,
        monitor=DISTANCE,
        mode="min",
        seed=settings.seed,
        average_momentum=settings.average_momentum,
        patience=settings.patience,
    )


def _held_out(
    records: Path,
    manifest: Manifest,
    inputs: pipeline.GanInputs,
    log: Callable[[str], None],
) -> dict[str, Images]:
    """Real images by class that were not trained on, and the floor that a distance to them has."""
    splits = [name for name in ("validation", "test") if name in manifest.splits()]
    parts = [pipeline.real_images(records, name, inputs) for name in splits]
    train = pipeline.real_images(records, "train", inputs)
    found, floors = {}, []
    for name in inputs.class_names:
        own = [part[name] for part in parts]
        images = np.concatenate(own) if own else train[name][:0]
        if len(images) < _LEAST_HELD_OUT:
            log(
                f"warning: {name}: {len(images)} held-out images are too few to measure a "
                "distance to; training images stand in"
            )
            images = train[name]
        found[name] = images
        floors.append(np.mean(list(sliced_wasserstein(images, train[name]).values())))
    log(f"sliced Wasserstein distance of training to held-out images: {np.mean(floors):.4g}")
    return found


def load_sampler(run_dir: Path) -> Sampler:
    """The generator of a finished run: its best epoch, with averaged weights.

    Raises:
        MelanomaError: no finished run of a generative network.
    """
    kind = training.run_kind(run_dir)
    if kind not in (KIND, COUPLED_KIND):
        raise MelanomaError(f"{run_dir}: expected a {KIND} or {COUPLED_KIND} run; found {kind}")
    config = training.read_config(run_dir, kind)
    model = training.load_model(run_dir)
    return Sampler(
        class_names=tuple(config["class_names"]),
        image_size_px=config["image_size_px"],
        latent_size=config["latent_size"],
        run_id=Path(run_dir).resolve().name,
        images=lambda latents: to_bytes(model(latents, training=False)),
    )


def sampler_config(run_dir: Path) -> dict[str, Any]:
    """The settings of the run that `load_sampler` reads."""
    return training.read_config(run_dir, training.run_kind(run_dir))
