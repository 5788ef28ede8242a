"""Previews of an occlusion detector on fixed images, in TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.training.previews import Preview


class DetectorPreview(Preview):
    """Draws image, probability and truth side by side; grey in the truth is not known.

    Args:
        batches: as `purification.detector.data` makes them; the first 6 images are shown.
        logs: TensorBoard's folder.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path):
        super().__init__("image, found, truth", batches, logs)
        self._images, packed = self._examples
        self._truth = packed[..., :1] * packed[..., 1:] + 0.5 * (1.0 - packed[..., 1:])

    def pictures(self) -> tf.Tensor:
        """See `Preview`."""
        found = self.model(self._images, training=False)
        maps = [tf.repeat(255.0 * each, 3, -1) for each in (found, self._truth)]
        return tf.cast(tf.concat([self._images, *maps], 2) + 0.5, tf.uint8)
