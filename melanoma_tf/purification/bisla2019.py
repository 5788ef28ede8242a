"""Purification as in Bisla et al. 2019, Section 3.2.2: the baseline, kept for reproduction."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from melanoma_tf.images.colour import luv_to_rgb, rgb_to_luv
from melanoma_tf.images.geometry import fit_long_side, height_width, resize
from melanoma_tf.images.morphology import ball, close, close_with


@dataclass(frozen=True)
class Bisla2019Settings:
    """Settings that the paper leaves open; lengths in pixels at `working_size_px`.

    Attributes:
        working_size_px: long side at which the lightness is closed.
        ball_radius_px: of the structuring element.
        ball_height: of the structuring element at its centre, in L*.
        least_rise: by how much the closing has to raise L* for a pixel to count as occluded.
        hole_size_px: holes of the mask up to this size are closed.
    """

    working_size_px: int = 400
    ball_radius_px: int = 5
    ball_height: float = 5.0
    least_rise: float = 10.0
    hole_size_px: int = 3


def purify_bisla2019(
    images: tf.Tensor, lesions: tf.Tensor | None, settings: Bisla2019Settings | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Close the lightness, put it where it rose, and put the lesion back.

    Args:
        images: float32 RGB `(batch, height, width, 3)` in [0, 1].
        lesions: float32 `(batch, height, width, 1)`, above 0 on the lesion, or None.
        settings: see `Bisla2019Settings`.

    Returns:
        The purified images, and the mask of replaced pixels, bool `(batch, height, width, 1)`.
    """
    settings = settings or Bisla2019Settings()
    luv = rgb_to_luv(images)
    lightness = luv[..., :1]
    small = resize(lightness, *fit_long_side(images, settings.working_size_px))
    closed = close_with(small, ball(settings.ball_radius_px, settings.ball_height))
    rise = closed - small
    mask = close(tf.cast(rise > settings.least_rise, tf.float32), settings.hole_size_px)
    size = height_width(images)
    mask = tf.cast(resize(mask, *size) >= 0.5, tf.float32)
    if lesions is not None:
        mask = mask * tf.cast(lesions <= 0.0, tf.float32)
    replaced = tf.maximum(resize(closed, *size), lightness)
    purified = luv_to_rgb(tf.concat([replaced, luv[..., 1:]], axis=-1))
    return tf.where(mask > 0.0, purified, images), mask > 0.0
