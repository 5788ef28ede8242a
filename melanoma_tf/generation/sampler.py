"""A trained generator, and the images that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melanoma_tf.generation.monitor import Images, to_bytes
from melanoma_tf.generation.settings import GanSettings
from melanoma_tf.generation.train import COUPLED_GAN, GAN
from melanoma_tf.training.run import load_model
from melanoma_tf.training.run_record import RunRecord, read_run

# Latent vectors at once: coupled networks make an image of every class for each.
_AT_ONCE = 64


@dataclass(frozen=True)
class Sampler:
    """A trained generator.

    Attributes:
        record: of the run.
        run_id: the run's name.
        images: from float32 `(vectors, latent_size)` to uint8 `(vectors, classes, size, size, 3)`.
    """

    record: RunRecord[GanSettings]
    run_id: str
    images: Callable[[npt.NDArray[np.float32]], Images]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the images that a latent vector gives."""
        return self.record.class_names

    @property
    def settings(self) -> GanSettings:
        """The settings of the run."""
        return self.record.settings

    def sample(self, class_name: str, count: int, random: np.random.Generator) -> Images:
        """Generate images of a class, uint8 `(count, size, size, 3)`.

        Args:
            class_name: one of `class_names`.
            count: the number of images.
            random: draws the latent vectors.
        """
        latents = random.standard_normal((count, self.settings.latent_size)).astype(np.float32)
        index = self.class_names.index(class_name)
        parts = [
            self.images(latents[at : at + _AT_ONCE])[:, index] for at in range(0, count, _AT_ONCE)
        ]
        return np.concatenate(parts)


def load_sampler(run_dir: Path) -> Sampler:
    """Load the generator of a finished run: its best epoch, with averaged weights.

    Raises:
        MelanomaError: no finished run of a generative network.
    """
    record = read_run(run_dir, GAN, COUPLED_GAN)
    model = load_model(run_dir, GAN, COUPLED_GAN)
    return Sampler(
        record=record,
        run_id=Path(run_dir).resolve().name,
        images=lambda latents: to_bytes(model(latents, training=False)),
    )
