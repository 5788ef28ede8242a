"""The lesion segmentation network of Bisla et al. 2019, Section 3.2.3 and Table 1.

A U-Net of unpadded convolutions whose bottom is dilated, and which grows back to the size of its
input by transposed convolutions. It takes RGB in [0, 255] and computes its seven channels itself,
so that training, evaluation and the exported model cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import OWN_GENERATOR, keras
from melanoma_tf.images.colour import rgb_to_lightness
from melanoma_tf.segmentation.settings import NORMALIZATIONS, PADDINGS, SegmenterSettings
from melanoma_tf.training.upsampling import NearestUpsampling2D

SMALLEST_INPUT_PX = 228  # The bottom is then a single pixel.
_SMALLEST_PADDED_PX = 64
_GRID_PX = 8  # Three poolings by 2.
_KERNEL = 3


class _Row(NamedTuple):
    """A convolution of Table 1: filters as a multiple of the first layer's, and dilation."""

    width: int
    dilation: int


_DOWN = ((_Row(1, 1), _Row(1, 1)), (_Row(2, 1), _Row(2, 1)), (_Row(4, 1), _Row(4, 1)))
_BOTTOM = (_Row(8, 2), _Row(8, 2), _Row(16, 4), _Row(16, 4))
_BOTTOM_UP = (_Row(16, 4), _Row(8, 4), _Row(8, 2), _Row(8, 2))


def build_segmenter(
    input_size: int = SegmenterSettings.image_size_px,
    base_filters: int = SegmenterSettings.base_filters,
    *,
    padding: str = SegmenterSettings.padding,
    normalization: str = SegmenterSettings.normalization,
    dropout: float = SegmenterSettings.dropout,
    colour_constancy: bool = SegmenterSettings.colour_constancy,
    skin_white_balance: bool = SegmenterSettings.skin_white_balance,
    chroma: bool = SegmenterSettings.chroma,
) -> keras.Model:
    """Build the network of Table 1.

    Args:
        input_size: side of the square input and output in pixels: 228, 236, ... 380, ...
        base_filters: filters of the first layer, 64 in the paper; every width grows with it.
        padding: `same` keeps the size through every 3x3 convolution, transposed ones included.
            Input sizes are then the multiples of 8 from 64 on, so that a small network sees
            the whole image at a fraction of the cost.
        normalization: `batch` puts a batch normalisation between convolution and ReLU, `instance`
            one by each image's own statistics.
        dropout: fraction of whole feature maps dropped around the bottom, in training.
        colour_constancy: see `SevenChannels`.
        skin_white_balance: likewise.
        chroma: likewise.

    Returns:
        A model from `(batch, size, size, 3)` RGB in [0, 255] to the lesion's probability,
        float32 `(batch, size, size, 1)`.

    Raises:
        MelanomaError: an input size that the layers do not lead back to, or impossible options.

    Example:
        >>> import melanoma_tf as mt
        >>> mt.build_segmenter(64, 2, padding="same").output_shape
        (None, 64, 64, 1)
    """
    _check_size(input_size, padding)
    _check_options(base_filters, padding, normalization)
    layers = _Layers(base_filters, padding, normalization)
    images = keras.Input((input_size, input_size, 3), name="images")
    channels = SevenChannels(colour_constancy, skin_white_balance, chroma, name="seven_channels")
    features = channels(images)
    features, skips = layers.descend(features)
    for index, row in enumerate(_BOTTOM, start=1):
        features = layers.convolve(features, row, f"bottom_conv{index}")
    features = _dropped(features, dropout, "bottom_dropout")
    for index, row in enumerate(_BOTTOM_UP, start=1):
        features = layers.transpose(features, row, f"bottom_trans{index}")
    features = _dropped(features, dropout, "up_dropout")
    features = layers.ascend(features, skips)
    # float32 also under mixed precision: the logarithm of a float16 probability overflows.
    probability = keras.layers.Conv2D(
        1, 1, activation="sigmoid", dtype="float32", name="probability"
    )(features)
    return keras.Model(images, probability, name="segmenter")


def _dropped(features: tf.Tensor, fraction: float, name: str) -> tf.Tensor:
    return keras.layers.SpatialDropout2D(fraction, name=name, **OWN_GENERATOR)(features)


@dataclass(frozen=True)
class _Layers:
    """The rows of Table 1 as layers.

    Attributes:
        base_filters: of the first layer.
        padding: `valid` or `same`, of all but the Up-Conv rows.
        normalization: what stands before every ReLU.
    """

    base_filters: int
    padding: str
    normalization: str

    def convolve(
        self, features: tf.Tensor, row: _Row, name: str, padding: str | None = None
    ) -> tf.Tensor:
        layer = keras.layers.Conv2D(
            self.base_filters * row.width,
            _KERNEL,
            padding=padding or self.padding,
            dilation_rate=row.dilation,
            use_bias=self.normalization == "none",
            kernel_initializer="he_normal",
            name=name,
        )
        return self._activate(layer(features), name)

    def transpose(self, features: tf.Tensor, row: _Row, name: str) -> tf.Tensor:
        layer = keras.layers.Conv2DTranspose(
            self.base_filters * row.width,
            _KERNEL,
            padding=self.padding,
            dilation_rate=row.dilation,
            use_bias=self.normalization == "none",
            # He's initialisation: a transposed kernel has its inputs where others have outputs.
            kernel_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out"),
            name=name,
        )
        return self._activate(layer(features), name)

    def descend(self, features: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        skips = []
        for level, rows in enumerate(_DOWN, start=1):
            for index, row in enumerate(rows, start=1):
                features = self.convolve(features, row, f"down{level}_conv{index}")
            skips.append(features)
            features = keras.layers.MaxPool2D(2, name=f"down{level}_pool")(features)
        return features, skips

    def ascend(self, features: tf.Tensor, skips: list[tf.Tensor]) -> tf.Tensor:
        for level, rows in reversed(list(enumerate(_DOWN, start=1))):
            features = NearestUpsampling2D(name=f"up{level}_upsample")(features)
            features = self.convolve(features, rows[0], f"up{level}_conv", padding="same")
            both = [skips[level - 1], features]
            features = keras.layers.Concatenate(name=f"up{level}_skip")(both)
            for index, row in enumerate(rows, start=1):
                features = self.transpose(features, row, f"up{level}_trans{index}")
        return features

    def _activate(self, features: tf.Tensor, name: str) -> tf.Tensor:
        if self.normalization == "instance":
            features = keras.layers.GroupNormalization(groups=-1, name=f"{name}_normalized")(
                features
            )
        if self.normalization == "batch":
            # Synchronised: the statistics are those of the global batch. A short memory, since a
            # small data set has few steps in an epoch.
            features = keras.layers.BatchNormalization(
                momentum=0.95, synchronized=True, name=f"{name}_normalized"
            )(features)
        return keras.layers.ReLU(name=f"{name}_relu")(features)


def _check_size(input_size: int, padding: str) -> None:
    smallest = SMALLEST_INPUT_PX if padding == "valid" else _SMALLEST_PADDED_PX
    excess = (input_size - smallest) % _GRID_PX
    if input_size >= smallest and not excess:
        return
    below = input_size - excess
    nearest = [size for size in (below, below + _GRID_PX) if size >= smallest] or [smallest]
    raise MelanomaError(
        f"expected an input size of {smallest}, {smallest + _GRID_PX}, {smallest + 2 * _GRID_PX} "
        f"and so on; found {input_size}, nearest: {' and '.join(map(str, nearest))}"
    )


def _check_options(base_filters: int, padding: str, normalization: str) -> None:
    if base_filters < 1:
        raise MelanomaError(f"expected at least 1 base filter; found {base_filters}")
    if padding not in PADDINGS:
        raise MelanomaError(f"expected a padding out of {', '.join(PADDINGS)}; found {padding}")
    if normalization not in NORMALIZATIONS:
        raise MelanomaError(
            f"expected a normalization out of {', '.join(NORMALIZATIONS)}; found {normalization}"
        )


@keras.saving.register_keras_serializable(package="melanoma_tf")
class SevenChannels(keras.layers.Layer):
    """RGB in [0, 255] -> R, G, B, H, S, V and CIELAB lightness, each `(x - 0.5) / 0.5`.

    Bisla et al. 2019, Section 3.2.3. All seven lie in [-1, 1].

    Args:
        colour_constancy: first divide out the light's colour and strength by Shades of Grey with
            the Minkowski norm 6 (Finlayson and Trezzi 2004; for dermoscopy Barata et al. 2015).
        skin_white_balance: instead, divide by the colour of the skin. Not in the paper.
        chroma: in place of hue and saturation, the point that they are on the colour circle:
            saturation times cosine and sine of the hue, brought into [0, 1]. Hue itself jumps from
            0 to 1 at red and is noise at grey, and skin is both. Not in the paper.
        name: of the layer.
    """

    def __init__(
        self,
        colour_constancy: bool = False,
        skin_white_balance: bool = False,
        chroma: bool = False,
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(name=name, **options)
        self.colour_constancy = colour_constancy
        self.skin_white_balance = skin_white_balance
        self.chroma = chroma

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """From `(batch, height, width, 3)` to `(batch, height, width, 7)`."""
        rgb = tf.cast(images, tf.float32) / 255.0
        if self.skin_white_balance:
            rgb = skin_white_balance(rgb)
        elif self.colour_constancy:
            rgb = shades_of_grey(rgb)
        hsv = tf.image.rgb_to_hsv(rgb)
        channels = [rgb, _on_circle(hsv) if self.chroma else hsv, rgb_to_lightness(rgb) / 100.0]
        return tf.cast(2.0 * tf.concat(channels, -1) - 1.0, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "colour_constancy": self.colour_constancy,
            "skin_white_balance": self.skin_white_balance,
            "chroma": self.chroma,
        }


def _on_circle(hsv: tf.Tensor) -> tf.Tensor:
    """Hue and saturation as a point of the unit square, and the value as it is."""
    hue, saturation, value = tf.split(hsv, 3, -1)
    angle = (2.0 * math.pi) * hue
    across, up = saturation * tf.cos(angle), saturation * tf.sin(angle)
    return tf.concat([0.5 + 0.5 * across, 0.5 + 0.5 * up, value], -1)


_WHITE_LEVEL = 0.75


def shades_of_grey(rgb: tf.Tensor) -> tf.Tensor:
    """Scale each channel so that its Minkowski mean of norm 6 is 0.75; black stays black.

    Args:
        rgb: float32 `(batch, height, width, 3)` in [0, 1].

    Returns:
        The same shape, in [0, 1].
    """
    squares = tf.square(rgb)
    sixth = tf.reduce_mean(squares * squares * squares, axis=[1, 2], keepdims=True)
    light = tf.pow(tf.maximum(sixth, 1e-12), 1.0 / 6.0)
    return tf.minimum(rgb * (_WHITE_LEVEL / light), 1.0)


_DARKEST_SKIN = 0.02
_SKIN_CELL_PX = 4  # Hairs are narrower.


def skin_white_balance(rgb: tf.Tensor) -> tf.Tensor:
    """Scale each channel so that the skin's is 0.75; black stays black.

    The skin's colour is the mean of the cells of 4x4 pixels whose brightness lies between the
    median and the upper tenth: a lesion, hairs and dark corners are darker than most of the skin,
    glare and white things brighter.

    Args:
        rgb: float32 `(batch, height, width, 3)` in [0, 1].

    Returns:
        The same shape, in [0, 1].
    """
    cells = tf.nn.avg_pool2d(rgb, _SKIN_CELL_PX, _SKIN_CELL_PX, "SAME")
    count = cells.shape[1] * cells.shape[2]
    cells = tf.reshape(cells, [-1, count, 3])
    brightness = tf.reduce_mean(cells, -1)
    ordered = tf.sort(brightness, 1)
    low, high = ordered[:, count // 2], ordered[:, (9 * count) // 10]
    skin = (brightness >= low[:, tf.newaxis]) & (brightness <= high[:, tf.newaxis])
    weight = tf.cast(skin, tf.float32)[..., tf.newaxis]
    colour = tf.reduce_sum(cells * weight, 1) / tf.maximum(tf.reduce_sum(weight, 1), 1.0)
    gains = _WHITE_LEVEL / tf.maximum(colour, _DARKEST_SKIN)
    return tf.minimum(rgb * gains[:, tf.newaxis, tf.newaxis], 1.0)
