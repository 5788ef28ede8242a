"""Augmentation of the skin around a lesion, and of the contrast between both.

Blood and melanin are laid over an image as absorbers (Beer and Lambert): optical densities add.
Graph ops for training; every draw is a pure function of a seed. All take and return float32
`(size, size, 3)` RGB in [0, 1] and leave the mask unchanged.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.noise import smooth_noise

# Absorption of red, green and blue by one unit of pigment, as in `phantoms.skin`.
_BLOOD = (0.2, 1.15, 0.95)
_MELANIN = (0.76, 1.14, 1.65)
# Cells along a side of the smooth random fields, from patches to speckles.
_GRIDS = (3, 6, 12, 24, 40)
_SKIN_GRID = 8
_DARKEST = 0.02


def mottle(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Add red or brown blotches of all sizes, thin vessels and freckles to the whole image.

    They show less within the lesion, whose own pigment hides them.
    """
    size_px = image.shape[0]
    drawn = Stream("skin.mottle_strengths").uniform(seed, [5])
    blood = 0.5 * drawn[0] * _patches(size_px, Stream("skin.blood")(seed))
    blood += 0.4 * drawn[1] * _vessels(size_px, seed)
    melanin = 0.25 * tf.square(drawn[2]) * _patches(size_px, Stream("skin.melanin")(seed))
    melanin += 0.4 * tf.square(drawn[3]) * _freckles(size_px, seed)
    density = blood * tf.constant(_BLOOD) + melanin * tf.constant(_MELANIN)
    # Without an edge that would give the mask away.
    hidden = 0.8 * drawn[4] * _softened(mask, 9)
    return image * tf.exp(-density * (1.0 - hidden)), mask


def pale(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Remove up to three quarters of the lesion's optical density over its skin."""
    skin = surrounding_skin(image, mask)
    over = tf.math.log(tf.maximum(image, _DARKEST)) - tf.math.log(tf.maximum(skin, _DARKEST))
    left = Stream("skin.paleness").uniform(seed, [], 0.25, 1.0)
    return image * tf.exp((left - 1.0) * _softened(mask, 5) * over), mask


def _softened(mask: tf.Tensor, width: int) -> tf.Tensor:
    soft = tf.nn.avg_pool2d(mask[tf.newaxis], width, 1, "SAME")
    return tf.nn.avg_pool2d(soft, width, 1, "SAME")[0]


def surrounding_skin(image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Return the smoothed colours of the skin, continued under the lesion; white without skin."""
    bare = 1.0 - mask
    cells = tf.image.resize(tf.concat([image * bare, bare], -1), [_SKIN_GRID] * 2, method="area")
    total = cells[tf.newaxis]
    # Ever wider surroundings fill the cells without skin.
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
    weights = Stream("skin.patch_scales").uniform(seed, [len(_GRIDS)], 1e-3)
    weights = -tf.math.log(weights)
    weights /= tf.sqrt(tf.reduce_sum(tf.square(weights)))
    noise = Stream("skin.patch_noise")
    field = tf.add_n(
        [weights[i] * _noise(size_px, cells, noise(seed, i)) for i, cells in enumerate(_GRIDS)]
    )
    # From everywhere (more or less) to a few patches only.
    sparse = Stream("skin.patch_sparsity").uniform(seed, [], -1.5, 1.0)
    return tf.nn.relu(field - sparse) / (1.0 - tf.minimum(sparse, 0.0))


def _vessels(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Thin crooked lines, in patches."""
    wide = Stream("skin.vessel_width").uniform(seed, []) < 0.5
    lines = _either_noise(wide, (10, 20), size_px, Stream("skin.vessel_lines")(seed))
    thin = tf.clip_by_value(1.2 - 7.0 * tf.abs(lines), 0.0, 1.0)
    places = _noise(size_px, 4, Stream("skin.vessel_places")(seed))
    return thin * tf.clip_by_value(places + 0.5, 0.0, 1.0)


def _freckles(size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """Small spots."""
    fine = Stream("skin.freckle_size").uniform(seed, []) < 0.5
    spots = _either_noise(fine, (28, 14), size_px, Stream("skin.freckle_places")(seed))
    level = Stream("skin.freckle_sparsity").uniform(seed, [], 1.0, 2.2)
    return tf.clip_by_value(2.0 * (spots - level), 0.0, 1.0)


def _either_noise(
    first: tf.Tensor, cells: tuple[int, int], size_px: int, seed: tf.Tensor
) -> tf.Tensor:
    """Noise of the first number of cells, or of the second."""
    return tf.cond(
        first,
        lambda: _noise(size_px, cells[0], seed),
        lambda: _noise(size_px, cells[1], seed),
    )
