"""A segmenter ready for use: an image of any size in, a finished lesion mask of that size out."""

from __future__ import annotations

import tensorflow as tf
from tensorflow import keras

from melanoma_tf.images import masks


class LesionFinder(tf.Module):
    """Segments images of any size.

    An image is squeezed to the network's square, segmented, its thresholded map freed of holes
    (Bisla et al. 2019, Section 3.2.3), and scaled back. Stock TensorFlow ops only; may be called
    eagerly, in a graph, and from several threads.

    Args:
        model: from RGB `(batch, size, size, 3)` in [0, 255] to probabilities.
        threshold: a pixel is lesion where its probability exceeds it.
        flips: average the probabilities over the image and its mirror images: left-right,
            top-bottom and both. Four times the work.
        largest_only: keep the largest piece only.

    Attributes:
        image_size_px: side of the network's square.
    """

    def __init__(
        self,
        model: keras.Model,
        threshold: float = 0.4,
        *,
        flips: bool = False,
        largest_only: bool = False,
    ):
        super().__init__(name="lesion_finder")
        self.model = model
        self.image_size_px = int(model.input_shape[1])
        self.threshold = float(threshold)
        self._flips, self._largest_only = flips, largest_only
        self._compiled = tf.function(
            self._probabilities,
            input_signature=[
                tf.TensorSpec([None, self.image_size_px, self.image_size_px, 3], tf.float32)
            ],
        )

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        """The probability that a pixel belongs to the lesion, holes filled.

        Args:
            image: `(height, width, 3)` RGB in [0, 255], uint8 or float.

        Returns:
            float32 `(height, width)`; above `threshold` is lesion.
        """
        image = tf.convert_to_tensor(image)
        square = self.probabilities(masks.squeeze(image, self.image_size_px)[tf.newaxis])[0]
        shape = tf.shape(image)
        return masks.restore(square, shape[0], shape[1])[..., 0]

    def varied(
        self, *, flips: bool | None = None, largest_only: bool | None = None
    ) -> LesionFinder:
        """The same network and threshold, used otherwise; None leaves a setting as it is."""
        return LesionFinder(
            self.model,
            self.threshold,
            flips=self._flips if flips is None else flips,
            largest_only=self._largest_only if largest_only is None else largest_only,
        )

    def mask(self, image: tf.Tensor) -> tf.Tensor:
        """The lesion as uint8 `(height, width)`, 0 or 255; all 0 where nothing was found."""
        return tf.where(self(image) > self.threshold, tf.constant(255, tf.uint8), 0)

    def probabilities(self, squares: tf.Tensor) -> tf.Tensor:
        """Probabilities of squeezed images.

        Args:
            squares: float32 `(batch, size, size, 3)` RGB in [0, 255]; `batch` may be 0.

        Returns:
            float32 `(batch, size, size, 1)`, holes filled.
        """
        return self._compiled(squares)

    def _probabilities(self, squares: tf.Tensor) -> tf.Tensor:
        if not self._flips:
            mean = self.model(squares, training=False)
        else:
            axes: tuple[list[int], ...] = ([], [1], [2], [1, 2])
            views = tf.concat([tf.reverse(squares, each) for each in axes], 0)
            found = tf.split(self.model(views, training=False), len(axes))
            mean = sum(tf.reverse(one, each) for one, each in zip(found, axes)) / len(axes)
        return masks.finish(mean, self.threshold, largest_only=self._largest_only)
