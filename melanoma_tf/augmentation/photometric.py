"""Varying how a dermoscopic image looks: light, colour, focus, lens, and what lies on the skin.

Graph ops for training; every draw is a pure function of a seed. All take and return float32
`(size, size, 3)` RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.augmentation import overlays as occluders
from melanoma_tf.augmentation import random_convolution as random_convolution
from melanoma_tf.augmentation import skin


@dataclass(frozen=True)
class PhotometricAugmentation:
    """How strongly images are changed.

    Attributes:
        colour: of hue, saturation, white balance, exposure and contrast; 0 changes nothing, 1 goes
            a little beyond what differs between dermatoscopes.
        illumination: largest relative difference of the light from side to side.
        blur: share of the images whose focus is changed, to softer or sharper.
        dark_corners: share of the images seen through a round lens.
        hairs, ruler, ink, sticker: share of the images with these drawn on.
        mottled_skin, pale_lesion: share of the images whose skin or lesion is changed, see
            `augmentation.skin`.
        gel: share of the images with edges of a plate, drops and glare.
        random_convolution: share of the images that `augmentation.random_convolution` changes.
    """

    colour: float = 1.0
    illumination: float = 0.3
    blur: float = 0.5
    dark_corners: float = 0.25
    hairs: float = 0.3
    ruler: float = 0.25
    ink: float = 0.15
    sticker: float = 0.2
    mottled_skin: float = 0.0
    pale_lesion: float = 0.0
    gel: float = 0.0
    random_convolution: float = 0.0


def augment(
    image: tf.Tensor, mask: tf.Tensor, appearance: PhotometricAugmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Change an image's looks; the mask loses what a lens or a sticker hides.

    Args:
        image: float32 `(size, size, 3)` RGB, clipped to [0, 1].
        mask: float32 `(size, size, 1)`, 0 or 1.
        appearance: how strongly.
        seed: int `(2,)`; the same seed changes the same way.

    Returns:
        Image and mask, of the same shapes, ranges and types.
    """
    shares = tf.random.stateless_uniform([10], seed)
    image = tf.clip_by_value(image, 0.0, 1.0)

    def sometimes(index: int, share: float, drawer: occluders.Overlay) -> None:
        nonlocal image, mask
        if share <= 0.0:
            return
        now_image, now_mask = image, mask
        image, mask = tf.cond(
            shares[index] < share,
            lambda: drawer(now_image, now_mask, seed + [0, index + 1]),
            lambda: (now_image, now_mask),
        )

    sometimes(6, appearance.pale_lesion, skin.pale)
    sometimes(7, appearance.mottled_skin, skin.mottle)
    sometimes(9, appearance.random_convolution, random_convolution.random_convolution)
    sometimes(0, appearance.hairs, occluders.draw_hairs)
    sometimes(1, appearance.ruler, occluders.draw_ruler)
    sometimes(2, appearance.ink, occluders.draw_ink)
    sometimes(3, appearance.sticker, occluders.draw_sticker)
    sometimes(8, appearance.gel, occluders.draw_gel)
    if appearance.illumination:
        image = _illuminate(image, appearance.illumination, seed + [0, 11])
    if appearance.colour:
        image = _recolour(image, appearance.colour, seed + [0, 12])
    # Behind the light and the colours: the rim of a lens is black whatever the white balance.
    sometimes(4, appearance.dark_corners, occluders.draw_dark_corners)
    sometimes(5, appearance.blur, _refocus)
    return tf.clip_by_value(image, 0.0, 1.0), mask


def _illuminate(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Light that falls from a side and fades towards the border or the middle."""
    rows, columns = occluders.coordinates(image.shape[0])
    drawn = tf.random.stateless_uniform([3], seed, -strength, strength)
    fading = rows * rows + columns * columns - 0.5
    return image * (1.0 + (drawn[0] * rows + drawn[1] * columns + drawn[2] * fading) / 2.0)


def recolour(
    image: tf.Tensor,
    *,
    hue: tf.Tensor,
    saturation: tf.Tensor,
    contrast: tf.Tensor,
    brightness: tf.Tensor,
) -> tf.Tensor:
    """Turn an image's hues, then scale its saturation, its contrast, and its light.

    Args:
        image: float32 `(height, width, 3)` RGB in [0, 1].
        hue: turn, as a share of the circle of hues, in [-0.5, 0.5]; 0 changes nothing.
        saturation: factor of every pixel's distance to its own grey; 1 changes nothing.
        contrast: factor of the distance to the image's mean; 1 changes nothing.
        brightness: factor of the light, a scalar or one for each of the three colours, `(3,)`.

    Returns:
        The same shape, clipped to [0, 1].
    """
    image = tf.image.adjust_hue(image, hue)
    grey = tf.reduce_mean(image, -1, keepdims=True)
    # Saturation leaves the greys alone, so that one sum does for it and the contrast.
    rest = contrast * (1.0 - saturation) * grey + (1.0 - contrast) * tf.reduce_mean(grey)
    return tf.clip_by_value((contrast * saturation * image + rest) * brightness, 0.0, 1.0)


def _recolour(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    normal = strength * tf.random.stateless_normal([7], seed)
    image = recolour(
        image,
        hue=tf.clip_by_value(0.02 * normal[0], -0.5, 0.5),
        saturation=tf.exp(0.25 * normal[1]),
        contrast=tf.exp(0.2 * normal[2]),
        brightness=tf.exp(0.1 * normal[3:6] + 0.15 * normal[6]),
    )
    gamma = tf.exp(0.25 * strength * tf.random.stateless_normal([], seed + [0, 1]))
    noise = tf.random.stateless_normal(image.shape, seed + [0, 2])
    level = 0.03 * strength * tf.random.stateless_uniform([], seed + [0, 3])
    return tf.pow(tf.maximum(image, 1e-4), gamma) + level * noise


def _refocus(image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Towards, or away from, an average over 5x5 pixels."""
    soft = tf.nn.avg_pool2d(image[tf.newaxis], 3, 1, "SAME")
    soft = tf.nn.avg_pool2d(soft, 3, 1, "SAME")[0]
    amount = tf.random.stateless_uniform([], seed, -0.8, 1.0)
    return image + amount * (soft - image), mask
