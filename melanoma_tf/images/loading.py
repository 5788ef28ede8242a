"""Encoded bytes -> uint8 image of a wanted size: one path for training, evaluation and serving.

Stock ops only, since an exported model carries them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from melanoma_tf.images.orientation import UPRIGHT, upright, upright_shape

# libjpeg scales by these while it decodes: an average over blocks, and up to 4 times as fast.
_JPEG_RATIOS = (1, 2, 4, 8)
# TensorFlow's default transform is off by several levels in vivid colours, and no faster.
_TRANSFORM = "INTEGER_ACCURATE"
# A bilinear sample reads 2 pixels a side, so up to this factor it skips none.
_LARGEST_BILINEAR_REDUCTION = 2.0
# The first 25 bytes of a PNG of 16 bits per channel; `\C` is any byte.
_DEEP_PNG = r"\CPNG\r\n\x1a\n\C{16}\x10"


def load_image(
    encoded: tf.Tensor, short_side_px: int, orientation: tf.Tensor | None = None
) -> tf.Tensor:
    """Decode an image and scale it, up or down, until its short side has the wanted length.

    Args:
        encoded: string scalar, JPEG, PNG, BMP or a single-frame GIF.
        short_side_px: length of the result's short side in pixels.
        orientation: how to turn the image upright, see `images.orientation`; None is for images
            that are upright, as those of records are.

    Returns:
        uint8 RGB `(height, width, 3)` with the aspect of the input.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no such image.
    """
    image, shape = _decode_at_least(encoded, short_side_px)
    if orientation is not None:
        image, shape = upright(image, orientation), upright_shape(shape, orientation)
    return _resize(image, _scaled_shape(shape, short_side_px))


def load_photograph(encoded: tf.Tensor, orientation: tf.Tensor | None = None) -> tf.Tensor:
    """Decode an image in its own size, upright; arguments and errors as for `load_image`."""
    decoded = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded, 1), lambda: _decode_other(encoded)
    )
    decoded = tf.ensure_shape(decoded, [None, None, 3])
    return decoded if orientation is None else upright(decoded, orientation)


def scale_image(image: tf.Tensor, short_side_px: int) -> tf.Tensor:
    """Scale a decoded image, uint8 `(height, width, 3)`, as `load_image` does."""
    return _resize(image, _scaled_shape(tf.shape(image)[:2], short_side_px))


def _decode_at_least(encoded: tf.Tensor, short_side_px: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The image, a JPEG at the smallest scale whose short side is no shorter than asked.

    Returns:
        uint8 `(height, width, 3)`, and int32 `(2,)`: height and width as encoded.
    """

    def scaled_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        shape = tf.io.extract_jpeg_shape(encoded)[:2]
        short_side = tf.reduce_min(shape)
        fitting = [short_side >= ratio * short_side_px for ratio in _JPEG_RATIOS[1:]]
        branches = [functools.partial(_decode_jpeg, encoded, ratio) for ratio in _JPEG_RATIOS]
        image = tf.switch_case(tf.reduce_sum(tf.cast(fitting, tf.int32)), branches)
        return image, shape

    def other() -> tuple[tf.Tensor, tf.Tensor]:
        image = _decode_other(encoded)
        return image, tf.shape(image)[:2]

    image, shape = tf.cond(tf.io.is_jpeg(encoded), scaled_jpeg, other)
    return tf.ensure_shape(image, [None, None, 3]), shape


def _decode_jpeg(encoded: tf.Tensor, ratio: int) -> tf.Tensor:
    return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method=_TRANSFORM)


def _decode_other(encoded: tf.Tensor) -> tf.Tensor:
    """An image that is no JPEG; 16 bits per channel are rounded to 8, not truncated."""

    def deep() -> tf.Tensor:
        image = tf.cast(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16), tf.int32)
        # 65535 = 255 * 257
        return tf.cast((image + 128) // 257, tf.uint8)

    def plain() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    # The bit depth stands in a PNG's first chunk, at a fixed place.
    is_deep = tf.strings.regex_full_match(tf.strings.substr(encoded, 0, 25), _DEEP_PNG)
    return tf.cond(is_deep, deep, plain)


def _scaled_shape(shape: tf.Tensor, short_side_px: int) -> tf.Tensor:
    scale = short_side_px / tf.reduce_min(shape)
    return tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32)


def _resize(image: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Bilinear, anti-aliased where it shrinks by more than 2; an image that fits is not touched."""
    shape = tf.shape(image)[:2]

    def resized(antialias: bool) -> tf.Tensor:
        pixels = tf.image.resize(image, target, method="bilinear", antialias=antialias)
        return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)

    def changed() -> tf.Tensor:
        reduction = tf.reduce_max(shape / target)
        strong = reduction > _LARGEST_BILINEAR_REDUCTION
        return tf.cond(strong, lambda: resized(True), lambda: resized(False))

    result = tf.cond(tf.reduce_all(tf.equal(shape, target)), lambda: image, changed)
    return tf.ensure_shape(result, [None, None, 3])


def load_crop(
    encoded: tf.Tensor,
    short_side_px: int,
    size_px: int,
    corner: Callable[[tf.Tensor], tf.Tensor],
    orientation: tf.Tensor | None = None,
) -> tf.Tensor:
    """Decode, scale and crop, as `load_image` and a crop do, but faster for stored JPEGs.

    Of a JPEG that has the wanted size, only the blocks that the crop touches are decoded.

    Args:
        encoded: see `load_image`.
        short_side_px: length of the scaled image's short side in pixels, at least `size_px`.
        size_px: side of the square in pixels.
        corner: from the scaled image's height and width, int32 `(2,)`, to the crop's first row
            and column, int32 `(2,)`, as `centre_corner`.
        orientation: see `load_image`.

    Returns:
        uint8 RGB `(size_px, size_px, 3)`.
    """

    def whole() -> tf.Tensor:
        image = load_image(encoded, short_side_px, orientation)
        return crop(image, corner(tf.shape(image)[:2]), size_px)

    def jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(encoded)[:2]
        fits = tf.reduce_min(shape) == short_side_px
        if orientation is not None:
            fits &= orientation == UPRIGHT
        return tf.cond(fits, lambda: window(shape), whole)

    def window(shape: tf.Tensor) -> tf.Tensor:
        rectangle = tf.concat([corner(shape), [size_px, size_px]], 0)
        return tf.io.decode_and_crop_jpeg(encoded, rectangle, channels=3, dct_method=_TRANSFORM)

    image = tf.cond(tf.io.is_jpeg(encoded), jpeg, whole)
    return tf.ensure_shape(image, [size_px, size_px, 3])


def centre_corner(shape: tf.Tensor, size_px: int) -> tf.Tensor:
    """The corner of the middle square in an image of height and width `shape`, int32 `(2,)`."""
    return (shape - size_px) // 2


def centre_crop(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """The middle square of an image.

    Args:
        image: `(height, width, channels)`, both sides at least `size_px`.
        size_px: side of the square in pixels.

    Returns:
        `(size_px, size_px, channels)`, same dtype.
    """
    return crop(image, centre_corner(tf.shape(image)[:2], size_px), size_px)


def random_flips(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirror an image left-right and top-bottom, each with probability one half.

    Args:
        image: `(height, width, channels)`.
        seed: int `(2,)`; the same seed mirrors the same way.
    """
    image = tf.convert_to_tensor(image)
    drawn = tf.random.stateless_uniform([2], seed) < 0.5
    image = tf.cond(drawn[0], lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(drawn[1], lambda: tf.reverse(image, [1]), lambda: image)


def crop(image: tf.Tensor, corner: tf.Tensor, size_px: int) -> tf.Tensor:
    """The square of side `size_px` whose first row and column are `corner`, int32 `(2,)`."""
    start = tf.concat([corner, [0]], 0)
    square = tf.slice(image, start, [size_px, size_px, -1])
    return tf.ensure_shape(square, [size_px, size_px, image.shape[-1]])
