"""A classifier from encoded images to saliency and probabilities, as one graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.core.keras import keras
from melanoma_tf.evaluation.temperature import UNSCALED, LogitScale

# Encoded image -> the pixels that the network sees.
Prepare = Callable[[tf.Tensor], tf.Tensor]
PROBABILITIES, SALIENCY = "probabilities", "saliency"


class ExplainingModule(tf.Module):
    """Encoded images in, probabilities out, and where they come from.

    Args:
        model: from RGB in [0, 255] to logits.
        image_size_px: side of the square that the model sees.
        prepare: encoded image, string scalar -> uint8 `(size, size, 3)`.
        scale: of the logits, before the softmax.
        even: see `classification.saliency.enlarge`.
    """

    def __init__(
        self,
        model: keras.Model,
        image_size_px: int,
        prepare: Prepare,
        scale: LogitScale = UNSCALED,
        *,
        even: bool = False,
    ):
        super().__init__()
        self.model = model
        self._image_size_px, self._prepare = image_size_px, prepare
        # A function, so that what it shares with the model is not saved twice.
        self._visual_backprop = visual_backprop(model, even=even)
        self._scale = scale

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def explain(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Explain string `(n,)` of encoded images of any sizes; `n` may be 0.

        Returns:
            `probabilities`, float32 `(n, classes)`, and `saliency`, float32 `(n, size, size)`, see
            `classification.saliency.visual_backprop`.
        """
        size = self._image_size_px
        none = (tf.zeros([0, size, size]), tf.zeros([0, self.model.output_shape[-1]]))
        saliency, logits = tf.cond(
            tf.size(images) > 0,
            lambda: self._visual_backprop(self._pixels(images)),
            lambda: none,
        )
        return {
            SALIENCY: saliency,
            PROBABILITIES: tf.nn.softmax(self._scale.apply(logits)),
        }

    def _pixels(self, images: tf.Tensor) -> tf.Tensor:
        size = self._image_size_px
        return tf.map_fn(
            self._prepare, images, fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8)
        )
