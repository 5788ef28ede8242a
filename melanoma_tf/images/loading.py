"""Encoded bytes -> uint8 image of a wanted size: one path for training, evaluation and serving.

Stock ops only, since an exported model carries them.
"""

from __future__ import annotations

import tensorflow as tf

# libjpeg scales by these while it decodes: an average over blocks, and up to 4 times as fast.
_JPEG_RATIOS = (1, 2, 4, 8)
# A bilinear sample reads 2 pixels a side, so up to this factor it skips none.
_LARGEST_BILINEAR_REDUCTION = 2.0


def load_image(encoded: tf.Tensor, short_side_px: int) -> tf.Tensor:
    """Decode an image and scale it, up or down, until its short side has the wanted length.

    Args:
        encoded: string scalar, JPEG, PNG, BMP or a single-frame GIF.
        short_side_px: length of the result's short side in pixels.

    Returns:
        uint8 RGB `(height, width, 3)` with the aspect of the input.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no such image.
    """
    return resize_short_side(_decode_at_least(encoded, short_side_px), short_side_px)


def _decode_at_least(encoded: tf.Tensor, short_side_px: int) -> tf.Tensor:
    """Decode, a JPEG at the smallest scale whose short side is no shorter than asked."""

    def scaled_jpeg() -> tf.Tensor:
        short_side = tf.reduce_min(tf.io.extract_jpeg_shape(encoded)[:2])
        fitting = [short_side >= ratio * short_side_px for ratio in _JPEG_RATIOS[1:]]
        branches = [
            lambda ratio=ratio: tf.io.decode_jpeg(encoded, channels=3, ratio=ratio)
            for ratio in _JPEG_RATIOS
        ]
        return tf.switch_case(tf.reduce_sum(tf.cast(fitting, tf.int32)), branches)

    def other() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)

    image = tf.cond(tf.io.is_jpeg(encoded), scaled_jpeg, other)
    return tf.ensure_shape(image, [None, None, 3])


def resize_short_side(image: tf.Tensor, short_side_px: int) -> tf.Tensor:
    """Scale an image until its short side has the wanted length; one that has is not touched.

    Args:
        image: uint8 `(height, width, 3)`.
        short_side_px: in pixels.

    Returns:
        uint8 `(height, width, 3)`. Bilinear; anti-aliased where it shrinks by more than 2.
    """
    shape = tf.shape(image)
    short_side = tf.reduce_min(shape[:2])
    scale = short_side_px / short_side
    target = tf.cast(tf.round(tf.cast(shape[:2], tf.float64) * scale), tf.int32)
    target = tf.maximum(target, short_side_px)

    def resized(antialias: bool) -> tf.Tensor:
        pixels = tf.image.resize(image, target, method="bilinear", antialias=antialias)
        return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)

    def changed() -> tf.Tensor:
        strong = scale * _LARGEST_BILINEAR_REDUCTION < 1.0
        return tf.cond(strong, lambda: resized(True), lambda: resized(False))

    result = tf.cond(tf.equal(short_side, short_side_px), lambda: image, changed)
    return tf.ensure_shape(result, [None, None, 3])


def centre_crop(image: tf.Tensor, size_px: int) -> tf.Tensor:
    """The middle square of an image.

    Args:
        image: `(height, width, channels)`, both sides at least `size_px`.
        size_px: side of the square in pixels.

    Returns:
        `(size_px, size_px, channels)`, same dtype.
    """
    return _crop(image, (tf.shape(image)[:2] - size_px) // 2, size_px)


def random_crop(image: tf.Tensor, size_px: int, seed: tf.Tensor) -> tf.Tensor:
    """A square at a uniformly drawn place.

    Args:
        image: `(height, width, channels)`, both sides at least `size_px`.
        size_px: side of the square in pixels.
        seed: int `(2,)`; the same seed cuts the same place.

    Returns:
        `(size_px, size_px, channels)`, same dtype.
    """
    room = tf.shape(image)[:2] - size_px + 1
    drawn = tf.random.stateless_uniform([2], seed)
    return _crop(image, tf.cast(drawn * tf.cast(room, tf.float32), tf.int32), size_px)


def random_flips(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirror an image left-right and top-bottom, each with probability one half.

    Args:
        image: `(height, width, channels)`.
        seed: int `(2,)`; the same seed mirrors the same way.
    """
    drawn = tf.random.stateless_uniform([2], seed) < 0.5
    image = tf.cond(drawn[0], lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(drawn[1], lambda: tf.reverse(image, [1]), lambda: image)


def _crop(image: tf.Tensor, corner: tf.Tensor, size_px: int) -> tf.Tensor:
    start = tf.concat([corner, [0]], 0)
    square = tf.slice(image, start, [size_px, size_px, -1])
    return tf.ensure_shape(square, [size_px, size_px, image.shape[-1]])
