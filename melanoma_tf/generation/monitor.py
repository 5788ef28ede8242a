"""Measures of a generative network in training: distance to real images, diversity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein

DISTANCE, DIVERSITY = "sliced_wasserstein", "diversity"
_GRID_ROWS = 8
_COMPARED = 256
_PROJECTIONS = 128

Images = npt.NDArray[np.uint8]


def to_bytes(images: tf.Tensor) -> Images:
    """From RGB in [-1, 1] to uint8."""
    scaled = tf.round(tf.clip_by_value((tf.cast(images, tf.float32) + 1.0) * 127.5, 0.0, 255.0))
    return tf.cast(scaled, tf.uint8).numpy()


def diversity(images: Images) -> float:
    """Mean squared difference of two of the images, pixels in [0, 1]; 0 of fewer than two.

    Args:
        images: uint8 `(images, ...)`.
    """
    if len(images) < 2:
        return 0.0
    pixels = images.reshape(len(images), -1).astype(np.float64) / 255.0
    # Over all pairs, this is twice the unbiased variance.
    return float(2.0 * pixels.var(axis=0, ddof=1).mean())


class GanMonitor(keras.callbacks.Callback):
    """Adds the sliced Wasserstein distance and the diversity to the logs; draws a grid of images.

    Args:
        real: by class, the images that distances are taken to.
        latent_size: length of the latent vectors.
        logs: TensorBoard's folder.
        collapse_fraction: warn where the generated images' diversity is below this fraction of
            the real ones'.
        seed: of the latent vectors, which stay the same.
        log: takes the warning.
    """

    def __init__(
        self,
        real: Mapping[str, Images],
        latent_size: int,
        logs: Path,
        *,
        collapse_fraction: float,
        seed: int,
        log: Callable[[str], None],
    ):
        super().__init__()
        self._real, self._logs, self._log = real, logs, log
        self._collapse_fraction = collapse_fraction
        random = np.random.default_rng([seed, latent_size])
        self._latents = random.standard_normal((_COMPARED, latent_size)).astype(np.float32)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open TensorBoard's file."""
        self._writer = tf.summary.create_file_writer(str(self._logs / "generated"))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Generate, measure, draw."""
        logs = {} if logs is None else logs
        batches = [self._latents[at : at + 32] for at in range(0, _COMPARED, 32)]
        images = np.concatenate([to_bytes(self.model(each, training=False)) for each in batches])
        distances, ratios = [], []
        for index, (name, real) in enumerate(self._real.items()):
            own = images[:, index]
            levels = sliced_wasserstein(real, own, projections=_PROJECTIONS)
            distances.append(float(np.mean(list(levels.values()))))
            ratios.append(diversity(own) / max(diversity(real), 1e-12))
            if ratios[-1] < self._collapse_fraction:
                self._log(
                    f"warning: {name}: generated images differ {ratios[-1]:.0%} as much as real "
                    "ones: the generator may be collapsing"
                )
        logs[DISTANCE], logs[DIVERSITY] = float(np.mean(distances)), float(np.mean(ratios))
        with self._writer.as_default():
            tf.summary.image("grid", grid(images[: _GRID_ROWS**2])[np.newaxis], step=epoch)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()


def grid(images: Images) -> Images:
    """Images side by side: one class in a square, several with a latent vector to a row.

    Args:
        images: `(latents, classes, size, size, 3)`.
    """
    count, classes = images.shape[:2]
    if classes > 1:
        rows = images[:_GRID_ROWS]
    else:
        side = max(1, int(np.sqrt(count)))
        rows = images[: side * side, 0].reshape(side, side, *images.shape[2:])
    height, width, size = len(rows), rows.shape[1], images.shape[2]
    return rows.transpose(0, 2, 1, 3, 4).reshape(height * size, width * size, 3)
