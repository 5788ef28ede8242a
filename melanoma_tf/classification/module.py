"""A classifier from encoded images to probabilities, as one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from melanoma_tf.classification.saliency import visual_backprop
from melanoma_tf.core.keras import keras

# Encoded image -> the pixels that the network sees.
Prepare = Callable[[tf.Tensor], tf.Tensor]
INPUT, PROBABILITIES, CLASSES, SALIENCY = "images", "probabilities", "classes", "saliency"


class ClassifierModule(tf.Module):
    """Encoded images in, probabilities and class names out, and where they come from.

    Args:
        model: from RGB in [0, 255] to logits.
        class_names: in the order of the logits.
        image_size_px: side of the square that the model sees.
        prepare: encoded image, string scalar -> uint8 `(size, size, 3)`.
        temperature: logits are divided by it.
        even: see `classification.saliency.enlarge`.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        image_size_px: int,
        prepare: Prepare,
        temperature: float = 1.0,
        *,
        even: bool = False,
    ):
        super().__init__()
        self.model = model
        self._class_names = tf.constant(list(class_names))
        self._image_size_px, self._prepare = image_size_px, prepare
        # A function, so that what it shares with the model is not saved twice.
        self._visual_backprop = visual_backprop(model, even=even)
        self._temperature = temperature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify string `(n,)` of encoded images of any sizes; `n` may be 0."""
        none = tf.zeros([0, len(self._class_names)], tf.float32)
        # Convolutions of an empty batch fail on some CPUs.
        probabilities = tf.cond(tf.size(images) > 0, lambda: self._classify(images), lambda: none)
        names = tf.tile(self._class_names[tf.newaxis], [tf.size(images), 1])
        return {PROBABILITIES: probabilities, CLASSES: names}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=INPUT)])
    def explain(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """`serve`, and what `classification.saliency.visual_backprop` says of the squares seen."""
        size = self._image_size_px
        none = (tf.zeros([0, size, size]), tf.zeros([0, len(self._class_names)]))
        saliency, logits = tf.cond(
            tf.size(images) > 0,
            lambda: self._visual_backprop(self._pixels(images)),
            lambda: none,
        )
        names = tf.tile(self._class_names[tf.newaxis], [tf.size(images), 1])
        return {
            SALIENCY: saliency,
            PROBABILITIES: tf.nn.softmax(logits / self._temperature),
            CLASSES: names,
        }

    def _classify(self, images: tf.Tensor) -> tf.Tensor:
        logits = self.model(self._pixels(images), training=False)
        return tf.nn.softmax(logits / self._temperature)

    def _pixels(self, images: tf.Tensor) -> tf.Tensor:
        size = self._image_size_px
        return tf.map_fn(
            self._prepare, images, fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8)
        )
