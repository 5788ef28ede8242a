"""A segmenter ready for use: an image of any size in, a finished lesion mask of that size out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from melanoma_tf.images import masks
from melanoma_tf.segmentation.adaptive_threshold import apply_adaptive_threshold
from melanoma_tf.segmentation.settings import InferenceSettings

if TYPE_CHECKING:
    from melanoma_tf.core.keras import keras

# The refinement pass covers this many times the lesion's larger side, and at least this fraction
# of the image: closer, there would be more blur than detail.
_SURROUNDINGS = 2.25
_LEAST_WINDOW = 0.2


class TracedSegmenter(tf.Module):
    """Segments images of any size by a traced function.

    An image is squeezed to a square, segmented, its thresholded map freed of holes (Bisla et al.
    2019, Section 3.2.3), and scaled back. Stock TensorFlow ops only; may be called eagerly, in a
    graph, and from several threads.

    Args:
        traced: from squares to probabilities, see `probabilities`.
        square_px: side of the squares that `probabilities` takes and returns.
        settings: that `traced` was made with.

    Attributes:
        traced, square_px, settings: as given.
    """

    def __init__(self, traced: Any, square_px: int, settings: InferenceSettings):
        super().__init__(name="lesion_segmenter")
        self.traced, self.square_px, self.settings = traced, square_px, settings

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        """The probability that a pixel belongs to the lesion, holes filled.

        Args:
            image: `(height, width, 3)` RGB in [0, 255], uint8 or float.

        Returns:
            float32 `(height, width)`; above `settings.threshold` is lesion.
        """
        image = tf.convert_to_tensor(image)
        square = self.probabilities(masks.squeeze(image, self.square_px)[tf.newaxis])[0]
        shape = tf.shape(image)
        return masks.restore(square, shape[0], shape[1])[..., 0]

    def mask(self, image: tf.Tensor) -> tf.Tensor:
        """The lesion as uint8 `(height, width)`, 0 or 255; all 0 where nothing was found."""
        return tf.where(self(image) > self.settings.threshold, tf.constant(255, tf.uint8), 0)

    def probabilities(self, squares: tf.Tensor) -> tf.Tensor:
        """Probabilities of squeezed images.

        Args:
            squares: float32 `(batch, square_px, square_px, 3)` RGB in [0, 255]; `batch` may be 0.

        Returns:
            float32 `(batch, square_px, square_px, 1)`, holes filled.
        """
        return self.traced(squares)


class LesionSegmenter(TracedSegmenter):
    """Segments images of any size by a network.

    Args:
        model: from RGB `(batch, size, size, 3)` in [0, 255] to probabilities.
        settings: see `InferenceSettings`.

    Attributes:
        model: the network.
        traced, square_px, settings: see `TracedSegmenter`.
    """

    def __init__(self, model: keras.Model, settings: InferenceSettings | None = None):
        settings = settings or InferenceSettings()
        network_px = int(model.input_shape[1])
        # A refinement pass over half the image or less then has pixels of its own to see.
        square_px = 2 * network_px if settings.refine else network_px
        squares = tf.TensorSpec([None, square_px, square_px, 3], tf.float32)
        traced = tf.function(self._probabilities, input_signature=[squares])
        super().__init__(traced, square_px, settings)
        self.model, self._network_px = model, network_px

    def with_settings(self, **changes: Any) -> LesionSegmenter:
        """The same network with other settings, by name."""
        return LesionSegmenter(self.model, dataclasses.replace(self.settings, **changes))

    def _probabilities(self, squares: tf.Tensor) -> tf.Tensor:
        # Convolutions on a CPU fail at an empty batch.
        def nothing() -> tf.Tensor:
            return tf.zeros([0, self.square_px, self.square_px, 1])

        return tf.cond(tf.size(squares) > 0, lambda: self._segment(squares), nothing)

    def _segment(self, squares: tf.Tensor) -> tf.Tensor:
        if not self.settings.refine:
            return self._finished(self._run_pass(squares))
        coarse = self._finished(self._run_pass(tf.nn.avg_pool2d(squares, 2, 2, "VALID")))
        windows = _windows(coarse[..., 0] > self.settings.threshold)
        corners = windows * (self.square_px - 1.0)
        per_pixel = (corners[:, 2:] - corners[:, :2]) / (self._network_px - 1.0)
        closer = _resampled(squares, corners[:, :2], per_pixel, self._network_px)
        # And back to where the windows lie, 0 outside.
        refined, per_pixel = self._run_pass(closer), 1.0 / per_pixel
        whole = _resampled(refined, -corners[:, :2] * per_pixel, per_pixel, self.square_px)
        return self._finished(whole)

    def _run_pass(self, squares: tf.Tensor) -> tf.Tensor:
        """The probabilities of a coarse or a refinement pass."""
        probability = self._averaged(squares)
        if not self.settings.adaptive_threshold:
            return probability
        return apply_adaptive_threshold(squares, probability, self.settings.threshold)

    def _averaged(self, squares: tf.Tensor) -> tf.Tensor:
        if not self.settings.flips:
            return self.model(squares, training=False)
        axes: tuple[list[int], ...] = ([], [1], [2], [1, 2])
        views = tf.concat([tf.reverse(squares, each) for each in axes], 0)
        found = tf.split(self.model(views, training=False), len(axes))
        return sum(tf.reverse(one, each) for one, each in zip(found, axes)) / len(axes)

    def _finished(self, probability: tf.Tensor) -> tf.Tensor:
        return masks.finish(
            probability, self.settings.threshold, largest_only=self.settings.largest_only
        )


def _windows(found: tf.Tensor) -> tf.Tensor:
    """Square windows around what was found; the whole image where nothing was found.

    Args:
        found: bool `(batch, size, size)`.

    Returns:
        float32 `(batch, 4)`: top, left, bottom, right as fractions of the image, within [0, 1].
    """
    rows, columns = _extent(tf.reduce_any(found, 2)), _extent(tf.reduce_any(found, 1))
    low = tf.stack([rows[0], columns[0]], -1)
    high = tf.stack([rows[1], columns[1]], -1)
    side = tf.reduce_max(high - low, -1, keepdims=True) * _SURROUNDINGS
    side = tf.clip_by_value(side, _LEAST_WINDOW, 1.0)
    start = tf.clip_by_value((low + high - side) / 2.0, 0.0, 1.0 - side)
    window = tf.concat([start, start + side], -1)
    anything = tf.reduce_any(found, [1, 2])[:, tf.newaxis]
    return tf.where(anything, window, tf.constant([0.0, 0.0, 1.0, 1.0]))


def _extent(present: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """First and last place of True in each row of bool `(batch, size)`, as parts of the size."""
    marks = tf.cast(present, tf.int32)
    size = tf.shape(marks)[1]
    first = tf.argmax(marks, 1, tf.int32)
    last = size - tf.argmax(tf.reverse(marks, [1]), 1, tf.int32)
    return tf.cast(first / size, tf.float32), tf.cast(last / size, tf.float32)


def _resampled(
    squares: tf.Tensor, start: tf.Tensor, per_pixel: tf.Tensor, size_px: int
) -> tf.Tensor:
    """Linear samples of squares, 0 outside of them.

    Args:
        squares: float32 `(batch, size, size, channels)`.
        start: float32 `(batch, 2)`, row and column of the first sample.
        per_pixel: float32 `(batch, 2)`, rows and columns from one sample to the next.
        size_px: samples along each axis.
    """
    zero = tf.zeros_like(start[:, 0])
    transforms = tf.stack(
        [per_pixel[:, 1], zero, start[:, 1], zero, per_pixel[:, 0], start[:, 0], zero, zero], -1
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=squares,
        transforms=transforms,
        output_shape=[size_px, size_px],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
