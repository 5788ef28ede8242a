"""Varying the skin around a lesion, and how much the lesion stands out from it.

Blood and melanin are laid over an image as light meets them: they absorb (Beer and Lambert), so
that optical densities add. Graph ops for training; every draw is a pure function of a seed. All
take and return float32 `(size, size, 3)` RGB in [0, 1] and leave the mask as it is.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images.noise import smooth_noise

# Absorption of red, green and blue by one unit of pigment, as in `phantoms.skin`.
_BLOOD = (0.2, 1.15, 0.95)
_MELANIN = (0.76, 1.14, 1.65)
# Cells along a side of the smooth random fields, from patches to speckles.
_GRIDS = (3, 6, 12, 24, 40)
_SKIN_GRID = 8
_DARKEST = 0.02


def mottle(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Red or brown blotches of all sizes, thin vessels and freckles over the whole picture.

    They show less within the lesion, whose own pigment hides them.
    """
    drawn = tf.random.stateless_uniform([5], seed)
    blood = 0.5 * drawn[0] * _patches(image.shape[0], seed + [0, 1])
    blood += 0.4 * drawn[1] * _vessels(image.shape[0], seed + [0, 2])
    melanin = 0.25 * tf.square(drawn[2]) * _patches(image.shape[0], seed + [0, 3])
    melanin += 0.4 * tf.square(drawn[3]) * _freckles(image.shape[0], seed + [0, 4])
    density = blood * tf.constant(_BLOOD) + melanin * tf.constant(_MELANIN)
    # Without an edge that would give the mask away.
    hidden = 0.8 * drawn[4] * _softened(mask, 9)
    return image * tf.exp(-density * (1.0 - hidden)), mask


def pale(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Take away up to three quarters of the lesion's optical density over its skin."""
    skin = surrounding_skin(image, mask)
    over = tf.math.log(tf.maximum(image, _DARKEST)) - tf.math.log(tf.maximum(skin, _DARKEST))
    left = tf.random.stateless_uniform([], seed, 0.25, 1.0)
    return image * tf.exp((left - 1.0) * _softened(mask, 5) * over), mask


def _softened(mask: tf.Tensor, width: int) -> tf.Tensor:
    soft = tf.nn.avg_pool2d(mask[tf.newaxis], width, 1, "SAME")
    return tf.nn.avg_pool2d(soft, width, 1, "SAME")[0]


def surrounding_skin(image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The colours of the skin, smoothed, and continued under the lesion; white without any skin."""
    bare = 1.0 - mask
    cells = tf.image.resize(tf.concat([image * bare, bare], -1), [_SKIN_GRID] * 2, method="area")
    total = cells[tf.newaxis]
    # What a cell lacks, ever wider surroundings give.
    for width in (3, 5, 9, 15):
        spread = tf.nn.avg_pool2d(total, width, 1, "SAME")
        total += 0.02 * spread
    skin = total[0, ..., :3] / tf.maximum(total[0, ..., 3:], 1e-6)
    skin = tf.where(total[0, ..., 3:] > 1e-6, skin, tf.ones_like(skin))
    return tf.image.resize(skin, image.shape[:2], method="bilinear")


def _noise(size_px: int, cells: int, seed: tf.Tensor) -> tf.Tensor:
    """A smooth field `(size, size, 1)` of mean 0 and deviation of about 1."""
    return 1.4 * smooth_noise(size_px, cells, seed)


def _patches(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """A field of 0 and more, made of all scales in random proportion; about 1 where it is dense."""
    shares = -tf.math.log(tf.random.stateless_uniform([len(_GRIDS)], seed, 1e-3))
    shares /= tf.sqrt(tf.reduce_sum(tf.square(shares)))
    field = tf.add_n(
        [shares[i] * _noise(size_px, cells, seed + [0, 8 + i]) for i, cells in enumerate(_GRIDS)]
    )
    # From everywhere (more or less) to a few patches only.
    sparse = tf.random.stateless_uniform([], seed + [0, 1], -1.5, 1.0)
    return tf.nn.relu(field - sparse) / (1.0 - tf.minimum(sparse, 0.0))


def _vessels(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Thin crooked lines, in patches."""
    cells = tf.random.stateless_uniform([], seed, 0, 2, tf.int32)
    lines = tf.where(
        cells > 0, _noise(size_px, 10, seed + [0, 5]), _noise(size_px, 20, seed + [0, 6])
    )
    thin = tf.clip_by_value(1.2 - 7.0 * tf.abs(lines), 0.0, 1.0)
    return thin * tf.clip_by_value(_noise(size_px, 4, seed + [0, 7]) + 0.5, 0.0, 1.0)


def _freckles(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Small spots."""
    fine = tf.random.stateless_uniform([], seed) < 0.5
    spots = tf.where(fine, _noise(size_px, 28, seed + [0, 5]), _noise(size_px, 14, seed + [0, 6]))
    level = tf.random.stateless_uniform([], seed + [0, 1], 1.0, 2.2)
    return tf.clip_by_value(2.0 * (spots - level), 0.0, 1.0)
