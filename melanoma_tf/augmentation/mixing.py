"""Mixing the images of a batch, and their labels with them: mixup and cutmix.

Graph ops; every draw is a pure function of a seed.
"""

from __future__ import annotations

import tensorflow as tf


def mix(
    images: tf.Tensor,
    labels: tf.Tensor,
    num_classes: int,
    *,
    mixup: float,
    cutmix: float,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix every image of a batch with another one of it.

    Args:
        images: uint8 `(batch, size, size, 3)`.
        labels: int `(batch,)`.
        num_classes: number of classes.
        mixup: alpha of the beta distribution of the image's own share (Zhang et al. 2018); 0 for
            no mixup.
        cutmix: alpha likewise for pasted rectangles (Yun et al. 2019); 0 for no cutmix. With both,
            each image is mixed in one way or the other, with probability one half.
        seed: int64 `(2,)`; the same seed mixes the same. The next seven after it belong to it too.

    Returns:
        uint8 of the shape of `images`, and float32 `(batch, num_classes)`: shares of the classes,
        which add up to 1.
    """
    batch, size_px = tf.shape(images)[0], images.shape[1]
    seed = tf.cast(seed, tf.int64)
    partners = tf.random.experimental.stateless_shuffle(tf.range(batch), seed)
    pixels = [batch, size_px, size_px, 1]
    averaged = pasted = None
    if mixup:
        share = beta(mixup, batch, seed + [0, 1])
        averaged = tf.broadcast_to(share[:, tf.newaxis, tf.newaxis, tf.newaxis], pixels)
    if cutmix:
        side = tf.sqrt(1.0 - beta(cutmix, batch, seed + [0, 3]))
        centres = tf.random.stateless_uniform([batch, 2], seed + [0, 5])
        pasted = tf.cast(outside_square(size_px, centres, side), tf.float32)
    if averaged is not None and pasted is not None:
        chosen = tf.random.stateless_uniform([batch, 1, 1, 1], seed + [0, 6]) < 0.5
        own = tf.where(chosen, averaged, pasted)
    else:
        own = pasted if averaged is None else averaged
    shares = tf.one_hot(labels, num_classes)
    return blend(images, shares, partners, own)


def blend(
    images: tf.Tensor, shares: tf.Tensor, partners: tf.Tensor, own: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replace a part of every image, and of its label, by another's.

    Args:
        images: uint8 `(batch, height, width, 3)`.
        shares: float32 `(batch, classes)`.
        partners: int `(batch,)`, the other's place in the batch.
        own: float32 `(batch, height, width, 1)` in [0, 1], what stays of each pixel.

    Returns:
        uint8 and float32 of the shapes of `images` and `shares`; the label's own share is the mean
        of `own`.
    """
    pixels = tf.cast(images, tf.float32)
    others = tf.cast(tf.gather(images, partners), tf.float32)
    mixed = others + own * (pixels - others)
    kept = tf.reduce_mean(own, [1, 2])
    labels = kept * shares + (1.0 - kept) * tf.gather(shares, partners)
    return tf.cast(tf.round(mixed), tf.uint8), labels


def beta(alpha: float, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws from the beta distribution with both parameters `alpha`, float32 `(count,)`.

    The next seed belongs to the draw too.
    """
    # With a small alpha the gammas leave float32's range.
    one, other = (
        tf.random.stateless_gamma([count], seed + [0, k], alpha, dtype=tf.float64) for k in (0, 1)
    )
    return tf.cast(tf.math.divide_no_nan(one, one + other), tf.float32)


def outside_square(size_px: int, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Which pixels of a picture lie outside a square in it, which may reach beyond the picture.

    Args:
        size_px: side of the picture.
        centre: rows and columns, float32 `(..., 2)` in [0, 1].
        side: of the square, as a share of the picture's, float32 `(...)`.

    Returns:
        bool `(..., size_px, size_px, 1)`.
    """
    middles = (tf.range(size_px, dtype=tf.float32) + 0.5) / size_px
    distance = tf.abs(middles - centre[..., tf.newaxis])
    beyond = distance >= side[..., tf.newaxis, tf.newaxis] / 2.0
    return (beyond[..., 0, :, tf.newaxis] | beyond[..., 1, tf.newaxis, :])[..., tf.newaxis]
