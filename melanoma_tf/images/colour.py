"""Colour spaces as graph ops: sRGB, linear light, CIELUV and its lightness, by their formulas.

Source: IEC 61966-2-1 (sRGB, D65) and CIE 15 (lightness, u' and v'). Stock operations only, since
exported graphs contain them.
"""

from __future__ import annotations

import tensorflow as tf

_LINEAR_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_XYZ_TO_LINEAR = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
# White of D65: u' and v', with Y = 1.
_WHITE_U, _WHITE_V = 0.19783982, 0.46833630
# CIE 15: below this luminance, lightness is linear.
_DARK_LUMINANCE, _DARK_SLOPE = (6 / 29) ** 3, (29 / 3) ** 3


def srgb_to_linear(images: tf.Tensor) -> tf.Tensor:
    """Undo sRGB's transfer curve.

    Args:
        images: float, `(..., width, 3)`, in [0, 1].

    Returns:
        Linear light in [0, 1], same shape and dtype.
    """
    bent = tf.pow((tf.maximum(images, 0.04045) + 0.055) / 1.055, 2.4)
    return tf.where(images <= 0.04045, images / 12.92, bent)


def linear_to_srgb(linear: tf.Tensor) -> tf.Tensor:
    """The inverse of `srgb_to_linear`; light below 0 or above 1 is clipped."""
    linear = tf.clip_by_value(linear, 0.0, 1.0)
    # The floor keeps the power's gradient finite at black, where the other branch is taken.
    bent = 1.055 * tf.pow(tf.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return tf.where(linear <= 0.0031308, linear * 12.92, bent)


def rgb_to_luv(images: tf.Tensor) -> tf.Tensor:
    """From sRGB to CIE 1976 L*u*v* under D65.

    Args:
        images: float, `(..., width, 3)`, in [0, 1].

    Returns:
        `(..., 3)`: L* in [0, 100], u* in about [-84, 176], v* in about [-135, 108].
    """
    x, y, z = tf.unstack(_times(srgb_to_linear(images), _LINEAR_TO_XYZ), axis=-1)
    lightness = _lightness_of(y)
    # At black u' and v' are undefined; any finite value does, since L* = 0 multiplies it.
    total = tf.maximum(x + 15 * y + 3 * z, 1e-9)
    u = 13 * lightness * (4 * x / total - _WHITE_U)
    v = 13 * lightness * (9 * y / total - _WHITE_V)
    return tf.stack([lightness, u, v], axis=-1)


def luv_to_rgb(luv: tf.Tensor) -> tf.Tensor:
    """The inverse of `rgb_to_luv`; colours outside sRGB are clipped to [0, 1]."""
    lightness, u, v = tf.unstack(luv, axis=-1)
    scale = 13 * tf.maximum(lightness, 1e-6)
    u_prime = u / scale + _WHITE_U
    v_prime = tf.maximum(v / scale + _WHITE_V, 1e-6)
    y = _luminance_of(lightness)
    x = y * 9 * u_prime / (4 * v_prime)
    z = y * (12 - 3 * u_prime - 20 * v_prime) / (4 * v_prime)
    return linear_to_srgb(_times(tf.stack([x, y, z], axis=-1), _XYZ_TO_LINEAR))


def rgb_to_lightness(images: tf.Tensor) -> tf.Tensor:
    """Lightness L* of CIELUV (CIELAB's is the same).

    Args:
        images: float, `(..., width, 3)`, in [0, 1].

    Returns:
        `(..., 1)` in [0, 100].
    """
    return _lightness_of(_times(srgb_to_linear(images), _LINEAR_TO_XYZ[1:2]))


def _times(colours: tf.Tensor, rows: tuple[tuple[float, ...], ...]) -> tf.Tensor:
    matrix = tf.transpose(tf.constant(rows, colours.dtype))
    return tf.linalg.matmul(colours, matrix)


def _lightness_of(luminance: tf.Tensor) -> tf.Tensor:
    bent = 116 * tf.pow(tf.maximum(luminance, _DARK_LUMINANCE), 1 / 3) - 16
    return tf.where(luminance <= _DARK_LUMINANCE, _DARK_SLOPE * luminance, bent)


def _luminance_of(lightness: tf.Tensor) -> tf.Tensor:
    bent = tf.pow((tf.maximum(lightness, 8.0) + 16) / 116, 3)
    return tf.where(lightness <= 8.0, lightness / _DARK_SLOPE, bent)
