"""Previews of the segmenter on fixed images, in TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.images.masks import draw_outline
from melanoma_tf.training.previews import Preview

_TRUTH, _FOUND = (0, 255, 0), (255, 255, 0)


class SegmenterPreview(Preview):
    """Draws the outlines of truth (green) and finding (yellow) on the first validation images.

    Args:
        batches: pairs of images in [0, 255] and masks; the first 6 images are shown.
        logs: TensorBoard's folder.
        threshold: a pixel is lesion where its probability exceeds it.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path, threshold: float = 0.4):
        super().__init__("outlines", batches, logs)
        self._images, self._masks = self._examples
        self._threshold = threshold

    def pictures(self) -> tf.Tensor:
        """See `Preview`."""
        found = self.model(self._images, training=False) > self._threshold
        drawn = draw_outline(tf.cast(self._images, tf.uint8), self._masks > 0.5, _TRUTH)
        return draw_outline(drawn, found, _FOUND)
