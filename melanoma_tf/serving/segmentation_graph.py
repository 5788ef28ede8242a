"""The segmenter of an exported model: encoded photographs in, masks of their sizes out."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images import masks
from melanoma_tf.images.loading import load_photograph
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.serving.reader import Batch, PhotographReader, graph_function
from melanoma_tf.serving.signatures import IMAGES, MASK, MESSAGE, PROBABILITIES, STATUS

# Images of full size are in memory while masks are made.
_AT_ONCE = 2


class SegmentationGraph(tf.Module):
    """What `melanoma-tf segment` computes, as graph ops on encoded images.

    Args:
        segmenter: the network and its settings.
        reader: reads the images.
    """

    def __init__(self, segmenter: LesionSegmenter, reader: PhotographReader):
        super().__init__(name="segmentation")
        self.segmenter, self._reader = segmenter, reader

    def outlined(self, images: tf.Tensor) -> tuple[Batch, tf.Tensor, tf.Tensor]:
        """Read and segment string `(n,)` of encoded images.

        Returns:
            What was read; of the `k` images that were, int32 `(k, 2)`, height and width of each
            upright, and float32 `(k, square, square, 1)`, the probability maps.
        """
        size = self.segmenter.square_px

        def read(encoded: tf.Tensor, orientation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = load_photograph(encoded, orientation)
            return masks.squeeze(image, size), tf.shape(image)[:2]

        specs = (tf.TensorSpec([size, size, 3], tf.float32), tf.TensorSpec([2], tf.int32))
        batch = self._reader.read(images, read, specs)
        squares, shapes = batch.values
        return batch, shapes, self.segmenter.probabilities(squares)

    def masks(self, shapes: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """Masks as PNG, string `(k,)`, from what `outlined` returns."""

        def encode(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            found = self.is_lesion(pair[1], pair[0])
            return tf.io.encode_png(tf.where(found, tf.constant(255, tf.uint8), 0))

        spec = tf.TensorSpec([], tf.string)
        return tf.map_fn(
            encode, (shapes, maps), fn_output_signature=spec, parallel_iterations=_AT_ONCE
        )

    def is_lesion(self, probability: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """The mask of one map in a size, bool `(height, width, 1)`."""
        restored = masks.restore(probability, shape[0], shape[1])
        return restored > self.segmenter.settings.threshold

    @graph_function([tf.TensorSpec([None], tf.string, name=IMAGES)])
    def segment(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Segment string `(n,)` of encoded images of any sizes; `n` may be 0."""
        batch, shapes, maps = self.outlined(images)
        return {
            MASK: batch.spread(self.masks(shapes, maps)),
            PROBABILITIES: batch.spread(maps),
            STATUS: batch.status,
            MESSAGE: self._reader.message(batch.status),
        }
