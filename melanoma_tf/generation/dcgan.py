"""The generative network of one class: Bisla et al. 2019, Section 3.3.2 and Table 2.

A DCGAN (Radford et al. 2016) with more levels. Sizes below 256 px leave out the levels of high
resolution: what is left has the channels of the table at every size of feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.generation.layers import MinibatchDiscrimination, SpectralNormalization
from melanoma_tf.generation.settings import IMAGE_SIZES_PX, DiscriminatorSettings

_KERNEL = 4
_SMALLEST_MAP_PX = 4
# Channels by level from 4x4 up; the generator's last level has the image's three in their place.
GENERATOR_CHANNELS = (256, 128, 64, 32, 16, 8)
DISCRIMINATOR_CHANNELS = (512, 256, 128, 64, 32, 16)
_LEAK = 0.2


def levels(image_size_px: int) -> int:
    """The number of times that a map of 4x4 is doubled to reach the image.

    Raises:
        MelanomaError: another size than `IMAGE_SIZES_PX`.
    """
    if image_size_px not in IMAGE_SIZES_PX:
        sizes = ", ".join(str(size) for size in IMAGE_SIZES_PX)
        raise MelanomaError(f"expected an image size of {sizes} px; found {image_size_px}")
    return (image_size_px // _SMALLEST_MAP_PX).bit_length() - 1


def build_generator(image_size_px: int, latent_size: int) -> keras.Model:
    """Build the generator of Table 2.

    Args:
        image_size_px: 64, 128 or 256.
        latent_size: length of the latent vectors, which are standard normal.

    Returns:
        A model from `(batch, latent_size)` to RGB in [-1, 1], float32 `(batch, size, size, 3)`.

    Raises:
        MelanomaError: another size, or an empty latent vector.
    """
    doublings = levels(image_size_px)
    latents = latent_input(latent_size)
    features = first_maps(latents)
    features = grow(features, GENERATOR_CHANNELS[1:doublings], name="up")
    return keras.Model(latents, to_image(features, name="image"), name="generator")


def build_discriminator(image_size_px: int, settings: DiscriminatorSettings) -> keras.Model:
    """Build the discriminator of Table 2.

    The table's stride of 1 in the row `512 x 4 x 4` does not lead from 8x8 to 4x4; 2 does, and is
    taken. The first layer has no batch normalisation, as in the DCGAN. The sigmoid is left to the
    loss, which is computed from logits.

    Args:
        image_size_px: 64, 128 or 256.
        settings: layers that the table does not have.

    Returns:
        A model from RGB in [-1, 1] `(batch, size, size, 3)` to a pair: the logit of being real,
        float32 `(batch, 1)`, and the features of the last hidden layer, `(batch, 4, 4, 512)`.

    Raises:
        MelanomaError: another size.
    """
    doublings = levels(image_size_px)
    images = keras.Input((image_size_px, image_size_px, 3), name="images")
    channels = DISCRIMINATOR_CHANNELS[:doublings][::-1]
    features = shrink(images, channels, settings, name="down", first=True)
    logit = to_logit(features, settings)
    return keras.Model(images, [logit, features], name="discriminator")


def latent_input(latent_size: int) -> keras.KerasTensor:
    """The input of a generator.

    Raises:
        MelanomaError: an empty latent vector.
    """
    if latent_size < 1:
        raise MelanomaError(f"expected a latent size of at least 1; found {latent_size}")
    return keras.Input((latent_size,), name="latents")


def first_maps(latents: tf.Tensor) -> tf.Tensor:
    """From latent vectors to the first row of the table, `(batch, 4, 4, 256)`."""
    spread = keras.layers.Reshape((1, 1, latents.shape[-1]), name="latent_maps")(latents)
    layer = keras.layers.Conv2DTranspose(
        GENERATOR_CHANNELS[0],
        _KERNEL,
        use_bias=False,
        kernel_initializer=_kernels(),
        name="first",
    )
    return _rectified(layer(spread), "first")


def grow(features: tf.Tensor, channels: Sequence[int], name: str) -> tf.Tensor:
    """Transposed convolutions that double the size, each normalised and rectified."""
    for width in channels:
        side = 2 * features.shape[1]
        layer = _doubling(width, f"{name}_{side}", use_bias=False)
        features = _rectified(layer(features), f"{name}_{side}")
    return features


def to_image(features: tf.Tensor, name: str) -> tf.Tensor:
    """The last row: a transposed convolution to three channels, and a hyperbolic tangent."""
    image = _doubling(3, name, use_bias=True)(features)
    return keras.layers.Activation("tanh", dtype="float32", name=f"{name}_tanh")(image)


def shrink(
    features: tf.Tensor,
    channels: Sequence[int],
    settings: DiscriminatorSettings,
    *,
    name: str,
    first: bool = False,
) -> tf.Tensor:
    """Convolutions that halve the size, each normalised (but the first) and leakily rectified."""
    for index, width in enumerate(channels):
        normalized = not settings.spectral_normalization and not (first and index == 0)
        features = keras.layers.ZeroPadding2D(1)(features)
        layer_name = f"{name}_{(features.shape[1] - 2) // 2}"
        layer = keras.layers.Conv2D(
            width,
            _KERNEL,
            strides=2,
            use_bias=not normalized and not settings.spectral_normalization,
            kernel_initializer=_kernels(),
            name=layer_name,
        )
        features = _maybe_spectral(layer, settings)(features)
        if normalized:
            features = _normalized(features, layer_name)
        features = keras.layers.LeakyReLU(_LEAK, name=f"{layer_name}_leaky")(features)
    return features


def to_logit(features: tf.Tensor, settings: DiscriminatorSettings) -> tf.Tensor:
    """The last row: from `(batch, 4, 4, channels)` to a logit `(batch, 1)`."""
    own_bias = not settings.spectral_normalization  # Whose layer adds it.
    if not settings.minibatch_kernels:
        layer = keras.layers.Conv2D(
            1, _KERNEL, use_bias=own_bias, kernel_initializer=_kernels(), name="last"
        )
        logit = keras.layers.Flatten()(_maybe_spectral(layer, settings)(features))
    else:
        flat = keras.layers.Flatten()(features)
        others = MinibatchDiscrimination(settings.minibatch_kernels, name="minibatch")(flat)
        both = keras.layers.Concatenate()([flat, others])
        last = keras.layers.Dense(1, use_bias=own_bias, kernel_initializer=_kernels(), name="last")
        logit = _maybe_spectral(last, settings)(both)
    return keras.layers.Activation("linear", dtype="float32", name="logit")(logit)


def _kernels() -> keras.initializers.Initializer:
    """As in the DCGAN; a new one each time, since one with a seed of its own repeats itself."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def _doubling(width: int, name: str, *, use_bias: bool) -> keras.layers.Layer:
    # `same` at stride 2 and a kernel of 4 is the table's padding of 1.
    return keras.layers.Conv2DTranspose(
        width,
        _KERNEL,
        strides=2,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=_kernels(),
        name=name,
    )


def _rectified(features: tf.Tensor, name: str) -> tf.Tensor:
    return keras.layers.ReLU(name=f"{name}_relu")(_normalized(features, name))


def _normalized(features: tf.Tensor, name: str) -> tf.Tensor:
    # Synchronised: the statistics are those of the global batch, on however many replicas.
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
        synchronized=True,
        name=f"{name}_normalized",
    )(features)


def _maybe_spectral(
    layer: keras.layers.Layer, settings: DiscriminatorSettings
) -> keras.layers.Layer:
    if not settings.spectral_normalization:
        return layer
    return SpectralNormalization(layer, name=f"{layer.name}_spectral")
