"""Train generative networks on record folders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from melanoma_tf.generation import data as pipeline
from melanoma_tf.generation.adversarial import build_gan, updates
from melanoma_tf.generation.monitor import DISTANCE, GanMonitor, Images
from melanoma_tf.generation.settings import CoupledGanSettings, GanSettings
from melanoma_tf.records.record_set import RecordSet, RecordsLike
from melanoma_tf.training.job import History, Log, RunOptions, TrainingJob
from melanoma_tf.training.run_record import RunKind, describe_run
from melanoma_tf.training.schedules import rate_by_name
from melanoma_tf.training.train import train

if TYPE_CHECKING:
    from typing_extensions import Unpack

GAN: RunKind[GanSettings] = RunKind(
    "gan", GanSettings, lambda record: build_gan(record.settings, coupled=False)
)
COUPLED_GAN: RunKind[GanSettings] = RunKind(
    "coupled-gan", CoupledGanSettings, lambda record: build_gan(record.settings, coupled=True)
)
# Fewer held-out images than this are too few for a distance.
LEAST_HELD_OUT = 8


def train_gan(
    records: RecordsLike,
    run_dir: Path,
    settings: GanSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train a DCGAN on the real training images of one class.

    The epoch with the smallest distance to the real images of `validation` and `test` is kept;
    where a class has fewer than 8 of them, the distance is that to the training images, and a
    warning says so.

    Arguments, result and errors are those of `training.train.train`; the settings name the class.
    Further errors are an unknown class, and fewer images of a class than a batch has.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.generation.settings import GanSettings
        >>> settings = GanSettings(
        ...     class_names=("melanoma",), image_size_px=64, epochs=1, batch_size=4
        ... )
        >>> run_dir = Path("runs/gan")
        >>> history = mt.train_gan("tfrecords/phantoms", run_dir, settings, log=lambda line: None)
        >>> (run_dir / "weights.npz").is_file()
        True
    """
    chosen = GanSettings() if settings is None else settings
    return train(gan_job, records, run_dir, chosen, **options)


def train_coupled_gan(
    records: RecordsLike,
    run_dir: Path,
    settings: CoupledGanSettings | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """Train coupled DCGANs, which share layers, on the real training images of several classes.

    See `train_gan`; settings without class names take all classes of the records.

    Example:
        >>> from pathlib import Path
        >>> import melanoma_tf as mt
        >>> from melanoma_tf.generation.settings import CoupledGanSettings
        >>> settings = CoupledGanSettings(
        ...     class_names=("melanoma", "nevus"), image_size_px=64, epochs=1, batch_size=4
        ... )
        >>> run_dir = Path("runs/coupled")
        >>> history = mt.train_coupled_gan(
        ...     "tfrecords/phantoms", run_dir, settings, log=lambda line: None
        ... )
        >>> (run_dir / "weights.npz").is_file()
        True
    """
    chosen = CoupledGanSettings() if settings is None else settings
    return train(coupled_gan_job, records, run_dir, chosen, **options)


def gan_job(records: RecordSet, settings: GanSettings, log: Log) -> TrainingJob:
    """The training of a DCGAN of one class, see `training.job.TrainingJob`."""
    names = settings.class_names
    if len(names) != 1:
        raise MelanomaError(
            f"expected one class (--class) for a DCGAN; found {', '.join(names) or 'none'}. "
            "Coupled DCGANs (train coupled-gan) learn several"
        )
    return _job(GAN, records, settings, log)


def coupled_gan_job(records: RecordSet, settings: CoupledGanSettings, log: Log) -> TrainingJob:
    """The training of coupled DCGANs, see `training.job.TrainingJob`."""
    names = settings.class_names or records.class_names
    resolved = dataclasses.replace(settings, class_names=tuple(names))
    return _job(COUPLED_GAN, records, resolved, log)


def _job(
    kind: RunKind[GanSettings], records: RecordSet, settings: GanSettings, log: Log
) -> TrainingJob:
    counts = pipeline.count_training_images(records, settings)
    steps = settings.steps_per_epoch or math.ceil(max(counts.values()) / settings.batch_size)
    compared = _compared(records, settings, log)
    return TrainingJob(
        record=describe_run(kind, settings, records, class_names=settings.class_names),
        kind=kind,
        build=lambda: build_gan(settings, coupled=kind is COUPLED_GAN),
        compile=lambda model: _compile(model, settings, settings.epochs * steps),
        steps_per_epoch=steps,
        training_batches=lambda done, part: pipeline.training_batches(
            records, settings, first_example=done, part=part
        ),
        validation_batches=None,
        monitor=DISTANCE,
        mode="min",
        measures=lambda run_dir: [_monitor(compared, settings, run_dir, log)],
    )


def _compile(model: keras.Model, settings: GanSettings, rounds: int) -> keras.Model:
    generator, discriminator = (
        rate_by_name(settings.schedule, settings.learning_rate, steps)
        for steps in (updates(rounds), rounds)
    )
    model.compile(generator, discriminator)
    return model


def _monitor(
    compared: Mapping[str, Images], settings: GanSettings, run_dir: Path, log: Log
) -> GanMonitor:
    return GanMonitor(
        compared,
        settings.latent_size,
        run_dir / "logs",
        collapse_fraction=settings.collapse_fraction,
        seed=settings.seed,
        log=log,
    )


def _compared(records: RecordSet, settings: GanSettings, log: Log) -> dict[str, Images]:
    """Real images by class that distances are taken to; says which distance to expect of them."""
    names = settings.class_names
    real = pipeline.read_real_images(records, names, settings.image_size_px)
    found, floors = {}, []
    for name in names:
        images, training = real.held_out[name], real.training[name]
        if len(images) < LEAST_HELD_OUT:
            log(
                f"warning: {name}: {len(images)} held-out images are too few to measure a "
                "distance to; the training images are used instead"
            )
            images = training
        found[name] = images
        floors.append(np.mean(list(sliced_wasserstein(images, training).values())))
    log(f"sliced Wasserstein distance of training to held-out images: {np.mean(floors):.4g}")
    return found
