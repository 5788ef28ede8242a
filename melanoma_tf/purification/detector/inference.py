"""An occlusion detector ready for use: images in, masks of what lies over the skin out."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.training.run_record import RunKind


def network_of(settings: DetectorSettings) -> keras.Model:
    """Build the network of some settings, with random weights."""
    return build_detector(settings.base_filters, settings.levels)


DETECTOR = RunKind(
    "occlusion-detector", DetectorSettings, lambda record: network_of(record.settings)
)


class OcclusionDetector(tf.Module):
    """Finds occlusions by a network; fits `purification.purify.purify_by`.

    Stock TensorFlow ops only; may be called eagerly, in `tf.function` and `tf.data.map`, from
    several threads, and be exported.

    Args:
        model: what `purification.detector.network.build_detector` returns.
        threshold: a pixel is occluded where its probability exceeds it.

    Attributes:
        model, threshold: as given.
    """

    def __init__(self, model: keras.Model, threshold: float = 0.5):
        super().__init__(name="occlusion_detector")
        self.model, self.threshold = model, threshold
        signature = [tf.TensorSpec([None, None, None, 3], tf.float32)]
        self._compiled = tf.function(self._find, input_signature=signature)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Find.

        Args:
            images: float32 RGB `(batch, height, width, 3)` in [0, 1], of the working size of the
                purification (a long side of 512 pixels).

        Returns:
            float32 `(batch, height, width, 1)`, 1 on what was found, else 0.
        """
        return self._compiled(images)

    def _find(self, images: tf.Tensor) -> tf.Tensor:
        found = self.model(255.0 * images, training=False)
        return tf.cast(found > self.threshold, tf.float32)
