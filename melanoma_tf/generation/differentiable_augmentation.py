"""Differentiable augmentation, so that a discriminator of few images does not learn them by heart.

Zhao et al. 2020: real and generated images alike are changed before the discriminator sees them,
and the generator's gradient flows through the change.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.random_streams import Stream

_SHIFT = 1 / 8
_CUTOUT = 1 / 2


def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change brightness, saturation and contrast, shift by up to an eighth, cut out a square.

    Args:
        images: float `(batch, height, width, 3)`, RGB in [-1, 1].
        seed: int `(2,)`; the same seed changes the same way.

    Returns:
        The same shape; brightness may leave [-1, 1].
    """
    drawn = Stream("differentiable_augmentation.changes").uniform(seed, [tf.shape(images)[0], 7])
    images = _recolour(images, tf.cast(drawn[:, :3], images.dtype))
    images = _shift(images, drawn[:, 3:5])
    return images * tf.cast(_cutout_mask(tf.shape(images), drawn[:, 5:7]), images.dtype)


def _recolour(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    brightness, saturation, contrast = (
        drawn[:, index, tf.newaxis, tf.newaxis, tf.newaxis] for index in range(3)
    )
    images = images + (brightness - 0.5)
    grey = tf.reduce_mean(images, -1, keepdims=True)
    images = grey + (images - grey) * (2.0 * saturation)
    average = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
    return average + (images - average) * (contrast + 0.5)


def _shift(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Whole pixels; the image goes on as its mirror image, since black would tell them apart."""
    size = images.shape[1]
    most = int(size * _SHIFT)
    padded = tf.pad(images, [[0, 0], [most, most], [most, most], [0, 0]], "REFLECT")
    start = tf.cast(drawn * (2 * most + 1), tf.int32)
    along = tf.range(size)
    rows = tf.gather(padded, start[:, :1] + along, axis=1, batch_dims=1)
    return tf.gather(rows, start[:, 1:] + along, axis=2, batch_dims=1)


def _cutout_mask(shape: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """0 within a square of half the side whose middle lies anywhere, `(batch, h, w, 1)`."""

    def outside(length: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
        length = tf.cast(length, tf.float32)
        distance = tf.abs(tf.range(length) + 0.5 - centre[:, tf.newaxis] * length)
        return distance > _CUTOUT / 2 * length

    kept = (
        outside(shape[1], drawn[:, 0])[:, :, tf.newaxis]
        | (outside(shape[2], drawn[:, 1])[:, tf.newaxis])
    )
    return kept[..., tf.newaxis]
