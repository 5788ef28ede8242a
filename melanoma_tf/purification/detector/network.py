"""A network that finds what lies over the skin, in place of the classical detector.

Not in Bisla et al. 2019, whose purification network fills what the classical method finds: what
that misses bounds every filling. A small U-Net (Ronneberger et al. 2015) on images of the working
size of the purification.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.purification.detector.settings import DetectorSettings
from melanoma_tf.purification.inpainter.network import CropLike

_WIDEST = 4  # Times the base filters.
_RARE = -3.0  # The logit of how common occluded pixels are, to begin with.


def build_detector(
    base_filters: int = DetectorSettings.base_filters, levels: int = DetectorSettings.levels
) -> keras.Model:
    """Build the network.

    Args:
        base_filters: filters at full size; widths double with each level up to four times this.
        levels: how often the size is halved.

    Returns:
        A model from RGB `(batch, height, width, 3)` in [0, 255], of any size, to the probability
        that a pixel is occluded, float32 `(batch, height, width, 1)`.

    Raises:
        MelanomaError: no filters, or no levels.
    """
    if base_filters < 1 or levels < 1:
        raise MelanomaError(
            f"expected at least 1 base filter and 1 level; found {base_filters} and {levels}"
        )
    images = keras.Input((None, None, 3), name="images")
    now = MirrorToMultiple(2**levels, name="padded")(images)
    now = _convolved(now, base_filters, "down0")
    skips = []
    for level in range(1, levels + 1):
        skips.append(now)
        width = base_filters * min(2**level, _WIDEST)
        now = keras.layers.MaxPooling2D(2, name=f"halved{level}")(now)
        now = _convolved(_convolved(now, width, f"down{level}"), width, f"down{level}_more")
    for level in reversed(range(levels)):
        width = base_filters * min(2**level, _WIDEST)
        raised = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"doubled{level}")(now)
        joined = keras.layers.Concatenate(name=f"joined{level}")([raised, skips[level]])
        now = _convolved(joined, width, f"up{level}")
    logits = keras.layers.Conv2D(
        1,
        3,
        padding="same",
        bias_initializer=keras.initializers.Constant(_RARE),
        name="logits",
    )(now)
    probability = keras.layers.Activation("sigmoid", dtype="float32", name="sigmoid")(logits)
    cropped = CropLike(name="occluded")([probability, images])
    return keras.Model(images, cropped, name="occlusion_detector")


def _convolved(features: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    features = keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(features)
    features = keras.layers.BatchNormalization(
        momentum=0.95, synchronized=True, name=f"{name}_normalized"
    )(features)
    return keras.layers.ReLU(name=f"{name}_relu")(features)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MirrorToMultiple(keras.layers.Layer):
    """Images in [0, 255] -> the same in [-1, 1], mirrored below and to the right up to a multiple.

    Args:
        multiple: of which both sides then are.
        options: of `keras.layers.Layer`.
    """

    def __init__(self, multiple: int, **options: Any):
        super().__init__(**options)
        self.multiple = multiple

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Scale and pad `(batch, height, width, 3)`; a side below the multiple is repeated."""
        rows, columns = (self._places(tf.shape(images)[axis]) for axis in (1, 2))
        padded = tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)
        return tf.cast(tf.cast(padded, tf.float32) / 127.5 - 1.0, self.compute_dtype)

    def _places(self, size: tf.Tensor) -> tf.Tensor:
        """Indices 0, 1, ..., size - 1, size - 1, size - 2, ... back and forth."""
        whole = size + tf.math.floormod(-size, self.multiple)
        place = tf.math.floormod(tf.range(whole), 2 * size)
        return tf.minimum(place, 2 * size - 1 - place)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "multiple": self.multiple}
