"""Random convolution: new colours and textures of an image by a small random network.

Structures keep their places and change their appearance, so that a network cannot rely on the
appearance of the devices that it was trained on. After Ouyang et al. 2022,
"Causality-inspired single-source domain generalization for medical image segmentation": their
global intensity non-linear augmentation, and their mixing of two such versions by a smooth random
field.

Graph ops for training; every draw is a pure function of a seed.
"""

from __future__ import annotations

import tensorflow as tf

from melanoma_tf.core.random_streams import Stream
from melanoma_tf.images.noise import smooth_noise

_WIDTHS = (3, 4, 4, 3)
_POINTWISE = 0.6  # Fraction of the layers that see one pixel at a time.
_SLOPE = 0.2
_MOST_DEVIATIONS = 4.0
_FLATTEST = 1e-3  # Added to deviations, which may be 0.
_FIELD_GRID = 4
_FIELD_STEEPNESS = 3.0
_MIXED = 0.5  # Fraction of the images made of two versions.


def random_convolution(
    image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Average an image with the output of a random network, or with two outputs, mixed by place.

    The output has the mean and the deviation of the image, colour by colour; its weight is drawn
    between 0 and 1.

    Args:
        image: float32 `(size, size, 3)` RGB in [0, 1].
        mask: float32 `(size, size, 1)`; comes back as it is.
        seed: int `(2,)`; the same seed shows the same.

    Returns:
        float32 `(size, size, 3)` in [0, 1], and the mask.
    """
    standard, mean, deviation = _standardised(image)

    def version(index: int) -> tf.Tensor:
        own_seed = Stream("random_convolution.version")(seed, index)
        changed, _, _ = _standardised(_random_network(standard, own_seed))
        changed = tf.clip_by_value(changed, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        weight = Stream("random_convolution.weight").uniform(own_seed, [])
        return image + weight * (mean + changed * deviation - image)

    first = version(0)

    def with_another() -> tf.Tensor:
        field_seed = Stream("random_convolution.field")(seed)
        field = smooth_noise(image.shape[0], _FIELD_GRID, field_seed)
        weight = tf.sigmoid(_FIELD_STEEPNESS * field)
        return weight * first + (1.0 - weight) * version(1)

    mixed = Stream("random_convolution.mixed").uniform(seed, []) < _MIXED
    shown = tf.cond(mixed, with_another, lambda: first)
    return tf.clip_by_value(shown, 0.0, 1.0), mask


def _standardised(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    mean = tf.reduce_mean(image, [0, 1])
    deviation = tf.math.reduce_std(image, [0, 1])
    return (image - mean) / (deviation + _FLATTEST), mean, deviation


def _random_network(features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Three convolutions with normal weights, each of 3x3 or of single pixels."""
    layers = len(_WIDTHS) - 1
    drawn = Stream("random_convolution.pointwise").uniform(seed, [layers])
    kernel_seed = Stream("random_convolution.kernel")
    bias_seed = Stream("random_convolution.bias")
    centre = tf.reshape(tf.one_hot(4, 9), [3, 3, 1, 1])
    features = features[tf.newaxis]
    for index, (inputs, outputs) in enumerate(zip(_WIDTHS, _WIDTHS[1:])):
        kernel = tf.random.stateless_normal([3, 3, inputs, outputs], kernel_seed(seed, index))
        kernel = tf.where(drawn[index] < _POINTWISE, kernel * centre, kernel / 3.0)
        bias = tf.random.stateless_normal([outputs], bias_seed(seed, index))
        features = tf.nn.conv2d(features, kernel, 1, "SAME") + bias
        if index < layers - 1:
            features = tf.nn.leaky_relu(features, _SLOPE)
    return features[0]
