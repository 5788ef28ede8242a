"""An inpainter ready for use: images with holes of any size in, filled images out."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.purification.inpainter.network import build_inpainter
from melanoma_tf.purification.inpainter.settings import InpainterSettings
from melanoma_tf.training.run_record import RunKind


def network_of(settings: InpainterSettings) -> keras.Model:
    """Build the network of some settings, with random weights."""
    return build_inpainter(
        settings.base_filters,
        settings.levels,
        normalization=settings.normalization,
        start=settings.start,
        full_size=settings.full_size,
    )


INPAINTER = RunKind("inpainter", InpainterSettings, lambda record: network_of(record.settings))


class Inpainter(tf.Module):
    """Fills holes by the data purification network; fits `purification.purify.purify_by`.

    Stock TensorFlow ops only; may be called eagerly, in `tf.function` and `tf.data.map`, from
    several threads, and be exported.

    Args:
        model: what `purification.inpainter.network.build_inpainter` returns.

    Attributes:
        model: the network.
    """

    def __init__(self, model: keras.Model):
        super().__init__(name="inpainter")
        self.model = model
        signature = [tf.TensorSpec([None, None, None, n], tf.float32) for n in (3, 1)]
        self._compiled = tf.function(self._fill, input_signature=signature)

    def __call__(self, images: tf.Tensor, holes: tf.Tensor) -> tf.Tensor:
        """Fill.

        Args:
            images: float32 RGB `(batch, height, width, 3)` in [0, 1]; what lies in the holes is
                ignored.
            holes: float32 `(batch, height, width, 1)`, 1 in holes, else 0.

        Returns:
            float32 like `images`, in [0, 1], equal to them outside the holes.
        """
        return self._compiled(images, holes)

    def _fill(self, images: tf.Tensor, holes: tf.Tensor) -> tf.Tensor:
        found = self.model([255.0 * images * (1.0 - holes), 1.0 - holes], training=False) / 255.0
        return tf.where(holes > 0.5, tf.clip_by_value(found, 0.0, 1.0), images)
