"""The purification of an exported model: encoded photographs in, purified PNG images out."""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.loading import load_photograph
from melanoma_tf.purification.networks import GraphPurifier
from melanoma_tf.serving.reader import PhotographReader, graph_function
from melanoma_tf.serving.segmentation_graph import SegmentationGraph
from melanoma_tf.serving.signatures import IMAGES, MESSAGE, OCCLUSIONS, PURIFIED, STATUS


class PurificationGraph(tf.Module):
    """What `melanoma-tf purify` computes, as graph ops on encoded images.

    Args:
        purifier: the method, with its networks.
        segmentation: outlines lesions, on which ink is not sought; None seeks it everywhere.
        reader: reads the images.
    """

    def __init__(
        self,
        purifier: GraphPurifier,
        segmentation: SegmentationGraph | None,
        reader: PhotographReader,
    ):
        super().__init__(name="purification")
        self.purifier, self._segmentation, self._reader = purifier, segmentation, reader

    @graph_function(
        [tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([None, None, 1], tf.bool)]
    )
    def purified(self, image: tf.Tensor, lesion: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One image without what lies over the skin, and the mask of it.

        Args:
            image: uint8 `(height, width, 3)`.
            lesion: bool `(height, width, 1)`; all False where it is not known.
        """
        return self.purifier(image, tf.cast(lesion, tf.uint8))

    @graph_function([tf.TensorSpec([None], tf.string, name=IMAGES)])
    def purify(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Purify string `(n,)` of encoded images of any sizes; `n` may be 0."""
        segmentation = self._segmentation

        def read(encoded: tf.Tensor, orientation: tf.Tensor) -> list[tf.Tensor]:
            image = load_photograph(encoded, orientation)
            lesion = tf.zeros_like(image[..., :1], tf.bool)
            if segmentation is not None:
                lesion = segmentation.segmenter.mask(image)[..., tf.newaxis] > 0
            return [tf.io.encode_png(each) for each in self.purified(image, lesion)]

        # One at a time: images of full size take many times their memory here.
        batch = self._reader.read(images, read, [tf.TensorSpec([], tf.string)] * 2, at_once=1)
        return {
            PURIFIED: batch.spread(batch.values[0]),
            OCCLUSIONS: batch.spread(batch.values[1]),
            STATUS: batch.status,
            MESSAGE: self._reader.message(batch.status),
        }
