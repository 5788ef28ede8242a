"""A threshold for each image: the level of probability whose outline has the highest contrast.

On skin unlike that of the training images, a network may give all skin a fair probability and the
lesion a higher one. A fixed threshold then takes most of the image for lesion, although the map
shows the lesion plainly. The outlines at several levels are compared; the one is chosen along
which both the map and the image's optical density change most. Stock TensorFlow ops only.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.images import masks

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_DARKEST = 0.03
_NOISE = 0.02  # Added to the deviations of optical density, which may be 0.
_LEAST_AREA_PX = 9.0
_BAND_FRACTION = 1 / 24  # Width of the bands within and outside an outline, over the side.


def apply_adaptive_threshold(
    squares: tf.Tensor, probability: tf.Tensor, threshold: float
) -> tf.Tensor:
    """Shift the probabilities of each image: its outline of highest contrast gets the threshold.

    The logits of an image are shifted by one number, so that their order stays. Where nothing
    exceeds the threshold, or no outline is darker within than outside, nothing is shifted.

    Args:
        squares: float32 `(batch, size, size, 3)` RGB in [0, 255].
        probability: float32 `(batch, size, size, 1)`.
        threshold: what exceeds it is lesion afterwards.

    Returns:
        float32 `(batch, size, size, 1)`.
    """
    # At half the size, contrasts rank outlines as well, at a fifth of the cost.
    image, map_ = (tf.nn.avg_pool2d(each, 2, 2, "VALID") for each in (squares, probability))
    levels = (threshold, *LEVELS)
    shifts = _logit(tf.constant(threshold)) - _logit(tf.constant(levels))
    shifted = tf.sigmoid(_logit(map_) + tf.reshape(shifts, [-1, 1, 1, 1, 1]))
    shape = tf.shape(map_)
    lesions = masks.finish(
        tf.reshape(shifted, tf.concat([[-1], shape[1:]], 0)), threshold, largest_only=True
    )
    copies = [len(levels), 1, 1, 1]
    contrast = outline_contrast(
        tf.tile(image, copies),
        tf.tile(map_, copies),
        tf.cast(lesions > threshold, tf.float32),
    )
    contrast = tf.reshape(contrast, [len(levels), shape[0]])
    best = tf.gather(shifts, tf.argmax(contrast, 0))
    found = tf.reduce_any(probability > threshold, [1, 2, 3])
    shift = tf.where(found & (tf.reduce_max(contrast, 0) > 0.0), best, 0.0)
    shift = tf.reshape(shift, [-1, 1, 1, 1])
    return tf.where(tf.equal(shift, 0.0), probability, tf.sigmoid(_logit(probability) + shift))


def outline_contrast(squares: tf.Tensor, probability: tf.Tensor, lesion: tf.Tensor) -> tf.Tensor:
    """Contrast of an outline, in the probability and in the image.

    The mean slope of the probability on the outline, times the step of optical density across it:
    the difference of the means of two bands, within and outside, over their root mean square
    deviation, averaged over red, green and blue (the square root of Fisher's criterion, signed).

    Args:
        squares: float32 `(batch, size, size, 3)` RGB in [0, 255].
        probability: float32 `(batch, size, size, 1)`.
        lesion: float32 `(batch, size, size, 1)`, 0 or 1.

    Returns:
        float32 `(batch,)`, 0 where the lesion is not darker than what is around it, fills the
        image, or has fewer than 9 pixels.
    """
    width = max(1, round(squares.shape[1] * _BAND_FRACTION))
    edge = _dilated(lesion, 1) - _eroded(lesion, 1)
    slopes = tf.image.sobel_edges(probability)
    slope = _mean(tf.sqrt(tf.reduce_sum(tf.square(slopes), -1)), edge)[:, 0]

    density = -tf.math.log(tf.maximum(squares / 255.0, _DARKEST))
    density = tf.nn.avg_pool2d(density, 3, 1, "SAME")
    within = lesion - _eroded(lesion, width)
    outside = _dilated(lesion, width) - lesion
    (mean_in, variance_in), (mean_out, variance_out) = (
        _moments(density, band) for band in (within, outside)
    )
    deviation = tf.sqrt((variance_in + variance_out) / 2.0) + _NOISE
    step = tf.reduce_mean((mean_in - mean_out) / deviation, -1)
    enough = tf.reduce_sum(lesion, [1, 2, 3]) >= _LEAST_AREA_PX
    enough &= tf.reduce_sum(outside, [1, 2, 3]) > 0.0
    return tf.where(enough, slope * tf.maximum(step, 0.0), 0.0)


def _logit(probability: tf.Tensor) -> tf.Tensor:
    probability = tf.clip_by_value(probability, 1e-6, 1.0 - 1e-6)
    return tf.math.log(probability) - tf.math.log1p(-probability)


def _dilated(mask: tf.Tensor, radius: int) -> tf.Tensor:
    return tf.nn.max_pool2d(mask, 2 * radius + 1, 1, "SAME")


def _eroded(mask: tf.Tensor, radius: int) -> tf.Tensor:
    return -tf.nn.max_pool2d(-mask, 2 * radius + 1, 1, "SAME")


def _mean(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(values * where, [1, 2])
    return total / tf.maximum(tf.reduce_sum(where, [1, 2]), 1.0)


def _moments(values: tf.Tensor, where: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    mean = _mean(values, where)
    spread = _mean(tf.square(values - mean[:, tf.newaxis, tf.newaxis]), where)
    return mean, spread
