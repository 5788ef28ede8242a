"""The generative network of several classes: Bisla et al. 2019, Section 6.3 and Table 5.

The generator's trunk is shared and each class has a head of its own, so that a latent vector gives
one image of each class; each class has a stem of its own in the discriminator, whose trunk is
shared again (Liu and Tuzel 2016).
"""

from __future__ import annotations

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.generation.dcgan import (
    DISCRIMINATOR_CHANNELS,
    GENERATOR_CHANNELS,
    first_maps,
    grow,
    latent_input,
    levels,
    shrink,
    to_image,
    to_logit,
)
from melanoma_tf.generation.layers import MergeClasses, SplitClasses, StackClasses
from melanoma_tf.generation.settings import DiscriminatorSettings

_OWN_LAYERS = 3  # Of a class: in the generator its last, in the discriminator its first.


def build_coupled_generator(classes: int, image_size_px: int, latent_size: int) -> keras.Model:
    """Build the generator of Table 5.

    Below 256 px the shared part has fewer levels; the heads keep all three.

    Args:
        classes: the number of classes.
        image_size_px: 64, 128 or 256.
        latent_size: length of the latent vectors.

    Returns:
        A model from `(batch, latent_size)` to RGB in [-1, 1], float32
        `(batch, classes, size, size, 3)`: the same latent vector's image in every class.

    Raises:
        MelanomaError: another size, no class, or an empty latent vector.
    """
    _check(classes)
    channels = GENERATOR_CHANNELS[1 : levels(image_size_px)]
    shared, own = channels[: 1 - _OWN_LAYERS], channels[1 - _OWN_LAYERS :]
    latents = latent_input(latent_size)
    trunk = grow(first_maps(latents), shared, name="up")
    images = [
        to_image(grow(trunk, own, name=f"class{index}_up"), name=f"class{index}_image")
        for index in range(classes)
    ]
    stacked = StackClasses(name="classes")(images)
    return keras.Model(latents, stacked, name="coupled_generator")


def build_coupled_discriminator(
    classes: int, image_size_px: int, settings: DiscriminatorSettings
) -> keras.Model:
    """Build the discriminator of Table 5.

    It departs from the table as `dcgan.build_discriminator` does.

    Args:
        classes: the number of classes.
        image_size_px: 64, 128 or 256.
        settings: layers that the table does not have.

    Returns:
        A model from RGB in [-1, 1] `(batch, classes, size, size, 3)` to a pair: logits of being
        real, float32 `(batch, classes)`, and the features of the last hidden layer,
        `(batch * classes, 4, 4, 512)`.

    Raises:
        MelanomaError: another size, or no class.
    """
    _check(classes)
    channels = DISCRIMINATOR_CHANNELS[: levels(image_size_px)][::-1]
    images = keras.Input((classes, image_size_px, image_size_px, 3), name="images")
    stems = [
        shrink(
            images[:, index],
            channels[:_OWN_LAYERS],
            settings,
            name=f"class{index}_down",
            first=True,
        )
        for index in range(classes)
    ]
    # One batch for the shared part: example by example, within it class by class.
    both = StackClasses(name="classes")(stems)
    maps = MergeClasses(name="merged")(both)
    features = shrink(maps, channels[_OWN_LAYERS:], settings, name="down")
    logits = SplitClasses(classes, name="logits", dtype="float32")(to_logit(features, settings))
    return keras.Model(images, [logits, features], name="coupled_discriminator")


def _check(classes: int) -> None:
    if classes < 1:
        raise MelanomaError(f"expected at least 1 class; found {classes}")
