"""What an inpainter makes of a fixed set of images, drawn into TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow import keras

_IMAGES = 6


class Sheets(keras.callbacks.Callback):
    """Draws image with holes, mask, composed output and truth side by side.

    Args:
        batches: pairs as `pipeline.inpainter` makes them; the first 6 are shown.
        logs: TensorBoard's folder.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path):
        super().__init__()
        self._inputs, packed = next(iter(batches.unbatch().batch(_IMAGES)))
        self._truth = packed[..., :3]
        self._logs = logs

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the folder."""
        self._writer = tf.summary.create_file_writer(str(self._logs / "validation"))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        images, known = self._inputs
        output = self.model((images, known), training=False)
        mask = tf.repeat(255.0 * (1.0 - known), 3, -1)
        composed = images * known + output * (1.0 - known)
        sheet = tf.concat([images, mask, composed, self._truth], 2)
        sheet = tf.cast(tf.clip_by_value(sheet, 0.0, 255.0) + 0.5, tf.uint8)
        with self._writer.as_default():
            tf.summary.image("holes, mask, filled, truth", sheet, epoch, max_outputs=_IMAGES)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()
