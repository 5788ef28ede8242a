"""What the segmenter finds on a fixed set of images, drawn into TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow import keras

from melanoma_tf.images.masks import draw_outline

_IMAGES = 6
_TRUTH, _FOUND = (0, 255, 0), (255, 255, 0)


class Overlays(keras.callbacks.Callback):
    """Draws the outlines of truth (green) and finding (yellow) on the first validation images.

    Args:
        batches: pairs of images in [0, 255] and masks; the first 6 images are shown.
        logs: TensorBoard's folder.
        threshold: a pixel is lesion where its probability exceeds it.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path, threshold: float = 0.4):
        super().__init__()
        examples = next(iter(batches.unbatch().batch(_IMAGES)))
        self._images, self._masks = examples
        self._threshold = threshold
        self._logs = logs

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the folder, and draw the truth once."""
        self._writer = tf.summary.create_file_writer(str(self._logs / "validation"))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        found = self.model(self._images, training=False) > self._threshold
        drawn = draw_outline(tf.cast(self._images, tf.uint8), self._masks > 0.5, _TRUTH)
        drawn = draw_outline(drawn, found, _FOUND)
        with self._writer.as_default():
            tf.summary.image("outlines", drawn, step=epoch, max_outputs=_IMAGES)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Close the file."""
        self._writer.close()
