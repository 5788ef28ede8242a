"""Loss and metric of an inpainter.

Truth travels to losses and metrics packed into one tensor of five channels, see `pack`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.inpainter.settings import LossWeights
from melanoma_tf.training.compile_model import compile_model


def pack(truth: tf.Tensor, known: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Truth as the loss takes it.

    Args:
        truth: float32 RGB `(..., 3)` in [0, 255].
        known: float32 `(..., 1)`, 1 where the network was shown the image, 0 in holes.
        counted: float32 `(..., 1)`, 0 where even the truth is unknown: it does not count.

    Returns:
        float32 `(..., 5)`.
    """
    return tf.concat([truth, known, counted], -1)


class _Truth(NamedTuple):
    """A packed truth taken apart; images in [0, 1]."""

    truth: tf.Tensor
    known: tf.Tensor
    counted: tf.Tensor

    @classmethod
    def unpack(cls, packed: tf.Tensor) -> _Truth:
        packed = tf.cast(packed, tf.float32)
        return cls(packed[..., :3] / 255.0, packed[..., 3:4], packed[..., 4:])

    @property
    def scored(self) -> tf.Tensor:
        """1 in holes of known truth."""
        return (1.0 - self.known) * self.counted

    def composed(self, output: tf.Tensor) -> tf.Tensor:
        """The output in holes, the truth elsewhere."""
        return self.truth + self.scored * (output - self.truth)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class InpaintingLoss(keras.losses.Loss):
    """The loss of Liu et al. 2018, Section 3.3, per image.

    Args:
        weights: of its terms.
        features: from RGB `(batch, height, width, 3)` in [0, 255] to a list of feature maps; its
            weights stay as they are. Needed for the perceptual and the style term.
        options: `name` and `reduction` of `keras.losses.Loss`.

    Raises:
        MelanomaError: features are needed and not given.
    """

    def __init__(
        self,
        weights: LossWeights | None = None,
        features: keras.Model | None = None,
        **options: Any,
    ):
        super().__init__(**{"name": "inpainting_loss", **options})
        self.weights = weights or LossWeights()
        if self.weights.need_features and features is None:
            raise MelanomaError(
                "expected a feature network for the perceptual and the style term; found none"
            )
        self._features = features

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Loss per image, `(batch,)`, of a packed truth and outputs in [0, 255]."""
        terms = self.terms(y_true, y_pred)
        return tf.add_n([getattr(self.weights, name) * value for name, value in terms.items()])

    def terms(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> dict[str, tf.Tensor]:
        """The terms by name, each `(batch,)`, unweighted; those of weight 0 are left out."""
        sample = _Truth.unpack(y_true)
        output = tf.cast(y_pred, tf.float32) / 255.0
        error = tf.abs(output - sample.truth)
        composed = sample.composed(output)
        terms = {
            "valid": tf.reduce_mean(error * sample.known * sample.counted, [1, 2, 3]),
            "hole": tf.reduce_mean(error * sample.scored, [1, 2, 3]),
        }
        if self.weights.variation:
            terms["variation"] = total_variation(composed, sample.scored)
        if self.weights.need_features:
            # Where the truth is unknown the output counts as right.
            known = sample.truth + sample.counted * (output - sample.truth)
            terms |= self._by_features(sample.truth, (known, composed))
        return terms

    def _by_features(
        self, truth: tf.Tensor, images: tuple[tf.Tensor, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        assert self._features is not None
        expected = self._features(255.0 * truth, training=False)
        perceptual = style = tf.zeros(tf.shape(truth)[:1])
        for image in images:
            found = self._features(255.0 * image, training=False)
            for one, other in zip(expected, found):
                one, other = tf.cast(one, tf.float32), tf.cast(other, tf.float32)
                perceptual += tf.reduce_mean(tf.abs(other - one), [1, 2, 3])
                style += tf.reduce_mean(tf.abs(gram(other) - gram(one)), [1, 2])
        return {"perceptual": perceptual, "style": style}


def gram(features: tf.Tensor) -> tf.Tensor:
    """Gram matrices `(batch, channels, channels)` over the number of values in the map."""
    shape = tf.shape(features)
    flat = tf.reshape(features, [shape[0], shape[1] * shape[2], features.shape[-1]])
    return tf.matmul(flat, flat, transpose_a=True) / tf.cast(tf.reduce_prod(shape[1:]), tf.float32)


def total_variation(images: tf.Tensor, holes: tf.Tensor) -> tf.Tensor:
    """Absolute differences of neighbours in the holes and one pixel around, over the values.

    Args:
        images: float32 `(batch, height, width, 3)`.
        holes: float32 `(batch, height, width, 1)`, 0 or 1.

    Returns:
        float32 `(batch,)`.
    """
    region = dilate(holes, 3)
    count = tf.cast(tf.reduce_prod(tf.shape(images)[1:]), tf.float32)
    rows = tf.abs(images[:, 1:] - images[:, :-1]) * region[:, 1:] * region[:, :-1]
    columns = tf.abs(images[:, :, 1:] - images[:, :, :-1]) * region[:, :, 1:] * region[:, :, :-1]
    return (tf.reduce_sum(rows, [1, 2, 3]) + tf.reduce_sum(columns, [1, 2, 3])) / count


@keras.saving.register_keras_serializable(package="melanoma_tf")
class HolePSNR(keras.metrics.Mean):
    """Mean over images of the peak signal-to-noise ratio inside the holes, in dB, at most 99.

    Args:
        name: of the metric.
    """

    def __init__(self, name: str = "hole_psnr"):
        super().__init__(name=name)

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Operation | None:
        """Add a packed truth and outputs in [0, 255]; images without a hole do not count."""
        del sample_weight
        sample = _Truth.unpack(y_true)
        output = tf.clip_by_value(tf.cast(y_pred, tf.float32) / 255.0, 0.0, 1.0)
        squares = tf.reduce_sum(tf.square(output - sample.truth) * sample.scored, [1, 2, 3])
        pixels = tf.reduce_sum(sample.scored, [1, 2, 3])
        error = squares / tf.maximum(3.0 * pixels, 1.0)
        ratio = tf.minimum(-10.0 / math.log(10.0) * tf.math.log(tf.maximum(error, 1e-30)), 99.0)
        return super().update_state(ratio, tf.cast(pixels > 0, tf.float32))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name}


def compile_inpainter(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    weights: LossWeights | None = None,
    features: keras.Model | None = None,
) -> keras.Model:
    """Give an inpainter its loss, optimiser and metric.

    Args:
        model: what `build_inpainter` returns.
        optimizer: see `purification.inpainter.two_phases`.
        weights: see `InpaintingLoss`.
        features: see `InpaintingLoss`.
    """
    loss = InpaintingLoss(weights, features)
    return compile_model(model, optimizer=optimizer, loss=loss, metrics=[HolePSNR()])
