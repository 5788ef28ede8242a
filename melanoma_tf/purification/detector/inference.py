"""An occlusion detector ready for use: images in, masks of what lies over the skin out."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.images.geometry import height_width, repeat_twice
from melanoma_tf.images.masks import round_holes
from melanoma_tf.purification.classical.graph import find_rulers_and_bubbles
from melanoma_tf.purification.classical.settings import OcclusionSettings
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.training.run_record import RunKind


def network_of(settings: DetectorSettings) -> keras.Model:
    """Build the network of some settings, with random weights."""
    return build_detector(settings.base_filters, settings.levels)


DETECTOR = RunKind(
    "occlusion-detector", DetectorSettings, lambda record: network_of(record.settings)
)


# The mask of rims is searched for discs at half the working size.
_LARGEST_DISC_PX = 40.0
_LEAST_ROUNDNESS = 0.65


class OcclusionDetector(tf.Module):
    """Finds occlusions by a network and by their shape; fits `purification.purify.purify_by`.

    The ticks of rulers are also found by their equal distances and bubbles by their rims, as the
    classical method does, and the inside of closed round rims that the network finds is taken for a
    bubble.

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
        found = tf.cast(found > self.threshold, tf.float32)
        found = tf.maximum(found, find_rulers_and_bubbles(images, OcclusionSettings()))
        return tf.maximum(found, _discs(found))


def _discs(found: tf.Tensor) -> tf.Tensor:
    """The inside of closed round rims: a bubble shows the skin below it distorted and glaring."""
    small = tf.nn.max_pool2d(found, 2, 2, "SAME") > 0.5
    holes = round_holes(small, _LARGEST_DISC_PX / 2, _LEAST_ROUNDNESS)
    height, width = height_width(found)
    return repeat_twice(tf.cast(holes[..., 0], tf.float32), height, width)[..., tf.newaxis]
