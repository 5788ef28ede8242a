"""Mixing the images of a batch, and their labels with them: mixup and cutmix.

Graph ops; every draw is a pure function of a seed.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.random_streams import Stream


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
        mixup: alpha of the beta distribution of the image's own weight (Zhang et al. 2018); 0 for
            no mixup.
        cutmix: alpha likewise for pasted rectangles (Yun et al. 2019); 0 for no cutmix. With both,
            each image is mixed in one way or the other, with probability one half.
        seed: int64 `(2,)`; the same seed mixes the same.

    Returns:
        uint8 of the shape of `images`, and float32 `(batch, num_classes)`: soft labels,
        the fraction of each class, which add up to 1.
    """
    batch, size_px = tf.shape(images)[0], images.shape[1]
    partners = tf.random.experimental.stateless_shuffle(
        tf.range(batch), Stream("mixing.partners")(seed)
    )
    pixels = [batch, size_px, size_px, 1]
    averaged = pasted = None
    if mixup:
        weight = beta(mixup, batch, Stream("mixing.mixup_weight")(seed))
        averaged = tf.broadcast_to(weight[:, tf.newaxis, tf.newaxis, tf.newaxis], pixels)
    if cutmix:
        side = tf.sqrt(1.0 - beta(cutmix, batch, Stream("mixing.cutmix_area")(seed)))
        centres = Stream("mixing.cutmix_centre").uniform(seed, [batch, 2])
        pasted = tf.cast(outside_square(size_px, centres, side), tf.float32)
    if averaged is not None and pasted is not None:
        chosen = Stream("mixing.choice").uniform(seed, [batch, 1, 1, 1]) < 0.5
        own = tf.where(chosen, averaged, pasted)
    else:
        own = pasted if averaged is None else averaged
    return blend(images, tf.one_hot(labels, num_classes), partners, own)


def blend(
    images: tf.Tensor, soft_labels: tf.Tensor, partners: tf.Tensor, own: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replace a part of every image, and of its label, by another's.

    Args:
        images: uint8 `(batch, height, width, 3)`.
        soft_labels: float32 `(batch, classes)`.
        partners: int `(batch,)`, the other's place in the batch.
        own: float32 `(batch, height, width, 1)` in [0, 1], what stays of each pixel.

    Returns:
        uint8 and float32 of the shapes of `images` and `soft_labels`; an image's own label gets the
        mean of `own` as its weight.
    """
    pixels = tf.cast(images, tf.float32)
    others = tf.cast(tf.gather(images, partners), tf.float32)
    mixed = others + own * (pixels - others)
    kept = tf.reduce_mean(own, [1, 2])
    labels = kept * soft_labels + (1.0 - kept) * tf.gather(soft_labels, partners)
    return tf.cast(tf.round(mixed), tf.uint8), labels


def beta(alpha: float, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws from the beta distribution with both parameters `alpha`, float32 `(count,)`."""
    # With a small alpha the gammas leave float32's range.
    gamma_seed = Stream("mixing.gamma")
    one, other = (
        tf.random.stateless_gamma([count], gamma_seed(seed, k), alpha, dtype=tf.float64)
        for k in (0, 1)
    )
    return tf.cast(tf.math.divide_no_nan(one, one + other), tf.float32)


def outside_square(size_px: int, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Return which pixels of an image lie outside a square that may reach beyond the image.

    Args:
        size_px: side of the image.
        centre: rows and columns, float32 `(..., 2)` in [0, 1].
        side: of the square, as a fraction of the image's side, float32 `(...)`.

    Returns:
        bool `(..., size_px, size_px, 1)`.
    """
    beyond = beyond_square(size_px, centre, side)
    return (beyond[..., 0, :, tf.newaxis] | beyond[..., 1, tf.newaxis, :])[..., tf.newaxis]


def beyond_square(size_px: int, centre: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Return which rows, and which columns, a square does not reach; see `outside_square`.

    Returns:
        bool `(..., 2, size_px)`: rows, columns.
    """
    middles = (tf.range(size_px, dtype=tf.float32) + 0.5) / size_px
    distance = tf.abs(middles - centre[..., tf.newaxis])
    return distance >= side[..., tf.newaxis, tf.newaxis] / 2.0
