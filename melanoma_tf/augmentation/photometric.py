"""Photometric augmentation: light, colour, focus, lens, skin, and what lies on the skin.

Graph ops for training; every draw is a pure function of a seed. All take and return float32
`(size, size, 3)` RGB in [0, 1].
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tensorflow as tf

from melanoma_tf.augmentation import overlays, skin
from melanoma_tf.augmentation.overlays import Overlay
from melanoma_tf.augmentation.random_convolution import random_convolution
from melanoma_tf.augmentation.settings import PhotometricAugmentation
from melanoma_tf.augmentation.shapes import centred_coordinates
from melanoma_tf.core.random_streams import Stream


def augment(
    image: tf.Tensor, mask: tf.Tensor, settings: PhotometricAugmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Change an image's appearance; the mask loses what a lens or a sticker hides.

    Args:
        image: float32 `(size, size, 3)` RGB, clipped to [0, 1].
        mask: float32 `(size, size, 1)`, 0 or 1.
        settings: strength and frequency of each change.
        seed: int `(2,)`; the same seed changes the same way.

    Returns:
        Image and mask, of the same shapes, ranges and types.
    """
    chances = Stream("photometric.presence").uniform(seed, [len(_ON_SKIN) + len(_ON_LENS)])
    on_skin, on_lens = tf.split(chances, [len(_ON_SKIN), len(_ON_LENS)])
    image = tf.clip_by_value(image, 0.0, 1.0)
    image, mask = _sometimes(_ON_SKIN, settings, on_skin, image, mask, seed)
    if settings.illumination:
        image = _illuminate(image, settings.illumination, seed)
    if settings.colour:
        image = _recolour(image, settings.colour, seed)
    image, mask = _sometimes(_ON_LENS, settings, on_lens, image, mask, seed)
    return tf.clip_by_value(image, 0.0, 1.0), mask


def _sometimes(
    overlays_by_field: Sequence[tuple[str, Overlay]],
    settings: PhotometricAugmentation,
    chances: tf.Tensor,
    image: tf.Tensor,
    mask: tf.Tensor,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply each overlay in the fraction of images that its field of the settings says."""
    for (field, overlay), chance in zip(overlays_by_field, tf.unstack(chances)):
        fraction = getattr(settings, field)
        if fraction > 0.0:
            image, mask = tf.cond(
                chance < fraction,
                functools.partial(overlay, image, mask, seed),
                functools.partial(_unchanged, image, mask),
            )
    return image, mask


def _unchanged(image: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return image, mask


def _illuminate(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Light that falls from a side and fades towards the border or the middle."""
    rows, columns = centred_coordinates(image.shape[0])
    drawn = Stream("photometric.light").uniform(seed, [3], -strength, strength)
    fading = rows * rows + columns * columns - 0.5
    return image * (1.0 + (drawn[0] * rows + drawn[1] * columns + drawn[2] * fading) / 2.0)


def recolour(
    image: tf.Tensor,
    *,
    hue: tf.Tensor,
    saturation: tf.Tensor,
    contrast: tf.Tensor,
    brightness: tf.Tensor,
    white: float = 1.0,
) -> tf.Tensor:
    """Turn an image's hues, then scale its saturation, its contrast, and its light.

    Args:
        image: float32 `(height, width, 3)` RGB in [0, `white`].
        hue: turn, as a fraction of the circle of hues, in [-0.5, 0.5]; 0 changes nothing.
        saturation: factor of every pixel's distance to its own grey; 1 changes nothing.
        contrast: factor of the distance to the image's mean; 1 changes nothing.
        brightness: factor of the light, a scalar or one for each of the three colours, `(3,)`.
        white: the largest value.

    Returns:
        The same shape, clipped to [0, `white`].
    """
    image = tf.image.adjust_hue(image, hue)
    # Saturation leaves the greys alone, so that one sum does for it and the contrast, and one
    # matrix for both and the light.
    grey = tf.fill([3, 3], 1.0 / 3.0)
    mixing = contrast * (saturation * tf.eye(3) + (1.0 - saturation) * grey) * brightness
    rest = (1.0 - contrast) * tf.reduce_mean(image) * brightness
    changed = tf.reshape(tf.reshape(image, [-1, 3]) @ mixing, tf.shape(image)) + rest
    return tf.clip_by_value(changed, 0.0, white)


def _recolour(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    normal = strength * Stream("photometric.colour").normal(seed, [7])
    image = recolour(
        image,
        hue=tf.clip_by_value(0.02 * normal[0], -0.5, 0.5),
        saturation=tf.exp(0.25 * normal[1]),
        contrast=tf.exp(0.2 * normal[2]),
        brightness=tf.exp(0.1 * normal[3:6] + 0.15 * normal[6]),
    )
    gamma = Stream("photometric.gamma").normal(seed, [])
    bent = tf.pow(tf.maximum(image, 1e-4), tf.exp(0.25 * strength * gamma))
    noise = Stream("photometric.noise").normal(seed, image.shape)
    level = Stream("photometric.noise_level").uniform(seed, [])
    return bent + 0.03 * strength * level * noise


def _refocus(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Move the image towards, or away from, its average over 5x5 pixels."""
    soft = tf.nn.avg_pool2d(image[tf.newaxis], 3, 1, "SAME")
    soft = tf.nn.avg_pool2d(soft, 3, 1, "SAME")[0]
    amount = Stream("photometric.focus").uniform(seed, [], -0.8, 1.0)
    return image + amount * (soft - image), mask


# By field of `PhotometricAugmentation`, in the order of application.
_ON_SKIN: tuple[tuple[str, Overlay], ...] = (
    ("pale_lesion", skin.pale),
    ("mottled_skin", skin.mottle),
    ("random_convolution", random_convolution),
    ("hairs", overlays.hairs),
    ("ruler", overlays.ruler),
    ("ink", overlays.ink),
    ("sticker", overlays.sticker),
    ("gel", overlays.gel),
)
# After light and colour: the rim of a lens is black at every white balance.
_ON_LENS: tuple[tuple[str, Overlay], ...] = (
    ("dark_corners", overlays.dark_corners),
    ("blur", _refocus),
)
