"""An occlusion detector ready for use: images in, masks of what lies over the skin out."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from melanoma_tf.core.keras import keras
from melanoma_tf.images.geometry import height_width, repeat_twice
from melanoma_tf.images.masks import round_holes
from melanoma_tf.purification.classical.graph import find_rulers_and_bubbles
from melanoma_tf.purification.classical.settings import WORKING_SIZE_PX, OcclusionSettings
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.training.run_record import RunKind


def network_of(settings: DetectorSettings) -> keras.Model:
    """Build the network of some settings, with random weights."""
    return build_detector(settings.base_filters, settings.levels)


DETECTOR = RunKind(
    "occlusion-detector", DetectorSettings, lambda record: network_of(record.settings)
)


# Images whose long side is one of these may be searched at a size of their own: at the working size
# they take twice the time. Still smaller ones lose hairs at it.
_SMALL_PX = 192, 256
_SMALL_WORKING_SIZE_PX = 320
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
        small_thresholds: the same for images with a long side of 192 and of 256 pixels, and linear
            in between: they are then searched at 320 pixels. None searches them at the working
            size, as all other images.

    Attributes:
        model, threshold, small_thresholds: as given.
    """

    def __init__(
        self,
        model: keras.Model,
        threshold: float = 0.5,
        small_thresholds: tuple[float, float] | None = None,
    ):
        super().__init__(name="occlusion_detector")
        self.model, self.threshold = model, threshold
        self.small_thresholds = small_thresholds
        images = tf.TensorSpec([None, None, None, 3], tf.float32)
        signature = [images, tf.TensorSpec([], tf.float32)]
        self._compiled = tf.function(self._find, input_signature=signature)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Find.

        Args:
            images: float32 RGB `(batch, height, width, 3)` in [0, 1], of the working size of the
                purification (a long side of 512 pixels).

        Returns:
            float32 `(batch, height, width, 1)`, 1 on what was found, else 0.
        """
        return self._compiled(images, self.threshold)

    def for_size(
        self, long_side_px: tf.Tensor
    ) -> tuple[int | tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        """Choose how images of a size are searched.

        Args:
            long_side_px: int32 scalar, of the images as they are.

        Returns:
            The working size in pixels, and the function that finds in images of that size, as
            `__call__` does.
        """
        if self.small_thresholds is None:
            return WORKING_SIZE_PX, self
        least, most = _SMALL_PX
        place = tf.cast(long_side_px - least, tf.float32) / (most - least)
        at_least, at_most = self.small_thresholds
        is_small = tf.logical_and(long_side_px >= least, long_side_px <= most)
        threshold = tf.where(is_small, at_least + place * (at_most - at_least), self.threshold)
        size_px = tf.where(is_small, _SMALL_WORKING_SIZE_PX, WORKING_SIZE_PX)
        return size_px, lambda images: self._compiled(images, threshold)

    def _find(self, images: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
        found = self.model(255.0 * images, training=False)
        found = tf.cast(found > threshold, tf.float32)
        found = tf.maximum(found, find_rulers_and_bubbles(images, OcclusionSettings()))
        return tf.maximum(found, _discs(found))


def _discs(found: tf.Tensor) -> tf.Tensor:
    """The inside of closed round rims: a bubble shows the skin below it distorted and glaring."""
    small = tf.nn.max_pool2d(found, 2, 2, "SAME") > 0.5
    holes = round_holes(small, _LARGEST_DISC_PX / 2, _LEAST_ROUNDNESS)
    height, width = height_width(found)
    return repeat_twice(tf.cast(holes[..., 0], tf.float32), height, width)[..., tf.newaxis]
