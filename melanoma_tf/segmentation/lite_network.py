"""A lesion segmentation network on an EfficientNet-Lite encoder.

A U-Net (Ronneberger et al. 2015): the feature maps of an encoder with ImageNet weights at strides
2, 4, 8, 16 and 32 feed a light decoder. It takes RGB in [0, 255] and normalises inside.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.backbones import EFFICIENTNET_LITE
from melanoma_tf.backbones.efficientnet_lite import (
    STRIDES,
    build_efficientnet_lite,
    imagenet_weights,
    load_weights,
    named_variables,
    stage_outputs,
)
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import OWN_GENERATOR, keras
from melanoma_tf.segmentation.settings import NORMALIZATIONS

SMALLEST_INPUT_PX = 64
_GRID_PX = max(STRIDES)
_BOTTOM_FILTERS = 160
# Stride, filters and number of 3x3 convolutions of each level. Fine levels have few weights
# but take much time: they are narrow.
_LEVELS = ((16, 128, 2), (8, 96, 2), (4, 48, 1), (2, 16, 1))
_WIDEST_RATIO = 2.5  # Wider features are narrowed before they are upsampled.
_MOMENTUM = 0.95


def build_lite_segmenter(
    encoder: str = "efficientnet-lite0",
    image_size_px: int = 192,
    *,
    normalization: str = "batch",
    dropout: float = 0.0,
) -> keras.Model:
    """Build the network, with random weights; `load_encoder` gives the encoder those of ImageNet.

    Args:
        encoder: one of `backbones.EFFICIENTNET_LITE`.
        image_size_px: side of the square input and output in pixels: 64, 96, 128, ...
        normalization: of the decoder, between convolution and ReLU: `batch`, `instance` or
            `none`. The encoder always has batch normalisation.
        dropout: fraction of the encoder's last feature maps dropped in training.

    Returns:
        A Functional model from `(batch, size, size, 3)` RGB in [0, 255] to the lesion's
        probability, float32 `(batch, size, size, 1)`. It is computed at half the input's size and
        scaled up linearly.

    Raises:
        MelanomaError: unknown encoder or normalization, or an impossible size.
    """
    _check(encoder, image_size_px, normalization)
    variant = encoder_variant(encoder)
    images = keras.Input((image_size_px, image_size_px, 3), name="images")
    # The momentum is short since a small data set has few steps in an epoch.
    backbone = build_efficientnet_lite(variant, input_tensor=images, momentum=_MOMENTUM)
    stages = stage_outputs(backbone, variant)
    decoder = _Decoder(normalization)
    features = keras.layers.SpatialDropout2D(dropout, name="bottom_dropout", **OWN_GENERATOR)(
        stages[_GRID_PX]
    )
    features = decoder.convolve(features, _BOTTOM_FILTERS, "bottom", kernel=1)
    for stride, filters, count in _LEVELS:
        features = decoder.ascend(features, stages[stride], filters, count, f"up{stride}")
    # float32 also under mixed precision: the logarithm of a float16 probability overflows.
    logits = keras.layers.Conv2D(1, 1, dtype="float32", name="logits")(features)
    logits = keras.layers.UpSampling2D(
        2, interpolation="bilinear", dtype="float32", name="logits_upsample"
    )(logits)
    probability = keras.layers.Activation("sigmoid", dtype="float32", name="probability")(logits)
    return keras.Model(images, probability, name="lite_segmenter")


def load_encoder(network: keras.Model, encoder: str, path: Path | None = None) -> None:
    """Give the encoder of a segmenter its ImageNet weights.

    Args:
        network: what `build_lite_segmenter` returned.
        encoder: the one it was built with.
        path: a file that `scripts/convert_efficientnet_lite.py` wrote; None takes the one that
            ships, which only `efficientnet-lite0` has.

    Raises:
        MelanomaError: no such file, a damaged one, or one of another encoder.
    """
    variant = encoder_variant(encoder)
    backbone = build_efficientnet_lite(variant)
    load_weights(backbone, path or imagenet_weights(variant))
    source = named_variables(backbone)
    for name, variable in named_variables(network).items():
        if name in source:
            variable.assign(source[name])


def encoder_variant(encoder: str) -> str:
    """Return the variant of an encoder, as `lite0` for `efficientnet-lite0`.

    Raises:
        MelanomaError: unknown encoder.
    """
    if encoder not in EFFICIENTNET_LITE:
        names = ", ".join(EFFICIENTNET_LITE)
        raise MelanomaError(f"expected an encoder out of {names}; found {encoder}")
    return encoder.rsplit("-", 1)[-1]


class _Decoder:
    """The decoder: upsample, join with the encoder's features, convolve."""

    def __init__(self, normalization: str):
        self._normalization = normalization

    def ascend(
        self, features: tf.Tensor, skip: tf.Tensor, filters: int, count: int, name: str
    ) -> tf.Tensor:
        if features.shape[-1] > _WIDEST_RATIO * filters:
            features = self.convolve(features, filters, f"{name}_narrow", kernel=1)
        features = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_upsample")(
            features
        )
        features = keras.layers.Concatenate(name=f"{name}_skip")([skip, features])
        for index in range(1, count + 1):
            features = self.convolve(features, filters, f"{name}_conv{index}")
        return features

    def convolve(
        self, features: tf.Tensor, filters: int, name: str, *, kernel: int = 3
    ) -> tf.Tensor:
        features = keras.layers.Conv2D(
            filters,
            kernel,
            padding="same",
            use_bias=self._normalization == "none",
            kernel_initializer="he_normal",
            name=name,
        )(features)
        if self._normalization == "instance":
            features = keras.layers.GroupNormalization(groups=-1, name=f"{name}_normalized")(
                features
            )
        if self._normalization == "batch":
            # Over several replicas the statistics are those of the global batch.
            several = tf.distribute.get_strategy().num_replicas_in_sync > 1
            features = keras.layers.BatchNormalization(
                momentum=_MOMENTUM, synchronized=several, name=f"{name}_normalized"
            )(features)
        return keras.layers.ReLU(name=f"{name}_relu")(features)


def _check(encoder: str, image_size_px: int, normalization: str) -> None:
    encoder_variant(encoder)
    if image_size_px < SMALLEST_INPUT_PX or image_size_px % _GRID_PX:
        below = max(SMALLEST_INPUT_PX, image_size_px // _GRID_PX * _GRID_PX)
        raise MelanomaError(
            f"expected an image size of {SMALLEST_INPUT_PX}, {SMALLEST_INPUT_PX + _GRID_PX}, "
            f"{SMALLEST_INPUT_PX + 2 * _GRID_PX} and so on with {encoder}; found {image_size_px}, "
            f"nearest: {below} and {below + _GRID_PX}"
        )
    if normalization not in NORMALIZATIONS:
        raise MelanomaError(
            f"expected a normalization out of {', '.join(NORMALIZATIONS)}; found {normalization}"
        )
