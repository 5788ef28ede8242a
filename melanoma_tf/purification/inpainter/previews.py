"""Previews of an inpainter on fixed images, in TensorBoard after every epoch."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.training.previews import Preview


class InpainterPreview(Preview):
    """Draws image with holes, mask, composed output and truth side by side.

    Args:
        batches: pairs as `purification.inpainter.data` makes them; the first 6 are shown.
        logs: TensorBoard's folder.
    """

    def __init__(self, batches: tf.data.Dataset, logs: Path):
        super().__init__("holes, mask, filled, truth", batches, logs)
        self._inputs, packed = self._examples
        self._truth = packed[..., :3]

    def pictures(self) -> tf.Tensor:
        """See `Preview`."""
        images, known = self._inputs
        output = self.model((images, known), training=False)
        mask = tf.repeat(255.0 * (1.0 - known), 3, -1)
        composed = images * known + output * (1.0 - known)
        sheet = tf.concat([images, mask, composed, self._truth], 2)
        return tf.cast(tf.clip_by_value(sheet, 0.0, 255.0) + 0.5, tf.uint8)
