"""What an occlusion detector finds on fixed images, drawn into TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow import keras

_IMAGES = 6


class DetectorSheets(keras.callbacks.Callback):
    """Draws image, probability and truth side by side; grey in the truth is not known.

    Args:
        batches: as `pipeline.occlusion_detector` makes them; the first 6 images are shown.
        logs: TensorBoard's folder.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path):
        super().__init__()
        self._images, packed = next(iter(batches.unbatch().batch(_IMAGES)))
        self._truth = packed[..., :1] * packed[..., 1:] + 0.5 * (1.0 - packed[..., 1:])
        self._logs = logs

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the folder."""
        self._writer = tf.summary.create_file_writer(str(self._logs / "validation"))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        found = self.model(self._images, training=False)
        maps = [tf.repeat(255.0 * each, 3, -1) for each in (found, self._truth)]
        sheet = tf.cast(tf.concat([self._images, *maps], 2) + 0.5, tf.uint8)
        with self._writer.as_default():
            tf.summary.image("image, found, truth", sheet, epoch, max_outputs=_IMAGES)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()
