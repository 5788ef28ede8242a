"""The data purification network of Bisla et al. 2019, Section 6.1: a U-Net of partial convolutions.

After Liu et al. 2018. Features and the mask of what is known of them go through the network side
by side; the holes shrink from layer to layer until none is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras
from melanoma_tf.images.filling import fill, fill_weighted
from melanoma_tf.images.morphology import dilate
from melanoma_tf.purification.inpainter.partial_convolution import PartialConv2D
from melanoma_tf.purification.inpainter.settings import (
    NORMALIZATIONS,
    STARTS,
    InpainterSettings,
)
from melanoma_tf.training.freezable import FreezableBatchNormalization
from melanoma_tf.training.upsampling import NearestUpsampling2D

_KERNELS = (7, 5, 5)  # Of the first encoder layers; the others have 3.
_WIDEST = 8  # Times the base filters.
_SLOPE = 0.2


class _Masked(NamedTuple):
    """Features, and where they are known: `(batch, height, width, n)`; masks of n or 1."""

    features: tf.Tensor
    known: tf.Tensor


def build_inpainter(
    base_filters: int = InpainterSettings.base_filters,
    levels: int = InpainterSettings.levels,
    *,
    normalization: str = InpainterSettings.normalization,
    start: str = InpainterSettings.start,
    full_size: bool = InpainterSettings.full_size,
) -> keras.Model:
    """Build the network.

    The defaults are those of Liu et al.; `start` and `full_size` suit small networks and holes.

    Args:
        base_filters: filters of the first layer; widths double up to eight times this.
        levels: number of encoder layers, each of which halves the size.
        normalization: `batch` puts a batch normalisation between convolution and activation, in
            the encoder one that `freeze_encoder` can stop; `none` has biases instead.
        start: `nothing`, or `filling`: the network is also shown the image with its holes filled
            smoothly, and says how far to trust each pixel when they are filled so, and what to
            add (`RefinedFilling`).
        full_size: one more layer on either side, at the size of the image.

    Returns:
        A model from `[images, known]`: RGB `(batch, height, width, 3)` in [0, 255] of any size,
        and float32 `(batch, height, width, 1)`, 1 where the image is known and 0 in a hole; to
        images like those, float32, of which only the holes are of use. Values may leave [0, 255].

    Raises:
        MelanomaError: no filters, no levels, an unknown normalisation or start.

    Example:
        >>> import melanoma_tf as mt
        >>> len(mt.build_inpainter(2, 2, normalization="none").inputs)
        2
    """
    _check(base_filters, levels, normalization, start)
    images = keras.Input((None, None, 3), name="images")
    known = keras.Input((None, None, 1), name="known")
    padded, padded_known = PadToMultiple(2**levels, name="padded")([images, known])
    whole = shown = _Masked(Centred(name="centred")(padded), padded_known)
    if start == "filling":
        fillings = Fillings(name="fillings")([padded, padded_known])
        shown = _Masked(fillings, OnesLike(name="filled")(padded_known))
    layers = _Layers(base_filters, normalization, full_size)
    features, skips = layers.descend(whole, shown, levels)
    features = layers.ascend(features, skips)
    # float32 also under mixed precision: bfloat16 has no 256 levels.
    output, _ = PartialConv2D(
        4 if start == "filling" else 3,
        3,
        kernel_initializer="zeros" if start == "filling" else "he_normal",
        dtype="float32",
        name="output",
    )([features.features, features.known])
    if start == "filling":
        output = RefinedFilling(name="refined")([padded, padded_known, output])
    else:
        output = keras.layers.Rescaling(127.5, offset=127.5, dtype="float32", name="levels")(output)
    cropped = CropLike(name="cropped")([output, images])
    return keras.Model([images, known], cropped, name="inpainter")


def _check(base_filters: int, levels: int, normalization: str, start: str) -> None:
    if base_filters < 1 or levels < 1:
        raise MelanomaError(
            f"expected at least 1 base filter and 1 level; found {base_filters} and {levels}"
        )
    if normalization not in NORMALIZATIONS:
        raise MelanomaError(
            f"expected a normalization out of {', '.join(NORMALIZATIONS)}; found {normalization}"
        )
    if start not in STARTS:
        raise MelanomaError(f"expected a start out of {', '.join(STARTS)}; found {start}")


@dataclass(frozen=True)
class _Layers:
    """The layers of both sides.

    Attributes:
        base_filters, normalization, full_size: see `build_inpainter`.
    """

    base_filters: int
    normalization: str
    full_size: bool

    def descend(
        self, whole: _Masked, shown: _Masked, levels: int
    ) -> tuple[_Masked, list[list[_Masked]]]:
        """The bottom, and what is joined to the upper layers, the deepest last."""
        now, first = whole, [shown]
        if self.full_size:
            now = self._convolve(now, self.base_filters, 3, 1, "down0", encoder=True)
            first.append(now)
        skips = [first]
        for level in range(levels):
            kernel = _KERNELS[level] if level < len(_KERNELS) else 3
            now = self._convolve(
                now, self._width(level), kernel, 2, f"down{level + 1}", encoder=True
            )
            skips.append([now])
        return skips.pop()[0], skips

    def ascend(self, now: _Masked, skips: list[list[_Masked]]) -> _Masked:
        """From the bottom to features of full size, convolved there with `full_size` only."""
        for level in reversed(range(len(skips))):
            now = self._joined(now, skips[level], f"up{level}")
            if level or self.full_size:
                width = self._width(level - 1) if level else self.base_filters
                now = self._convolve(now, width, 3, 1, f"up{level}")
        return now

    def _width(self, level: int) -> int:
        return self.base_filters * min(2**level, _WIDEST)

    def _joined(self, below: _Masked, skips: list[_Masked], name: str) -> _Masked:
        raised = _Masked(
            NearestUpsampling2D(name=f"{name}_features")(below.features),
            NearestUpsampling2D(name=f"{name}_known")(below.known),
        )
        parts = [raised, *skips]
        masks = [MaskPerChannel(p.features.shape[-1], name=f"{name}_mask{i}")(p.known)
                 for i, p in enumerate(parts)]  # fmt: skip
        return _Masked(
            keras.layers.Concatenate(name=f"{name}_joined")([part.features for part in parts]),
            keras.layers.Concatenate(name=f"{name}_masks", dtype="float32")(masks),
        )

    def _convolve(
        self,
        now: _Masked,
        filters: int,
        kernel: int,
        strides: int,
        name: str,
        encoder: bool = False,
    ) -> _Masked:
        batch = self.normalization == "batch"
        features, known = PartialConv2D(
            filters, kernel, strides=strides, use_bias=not batch, name=name
        )([now.features, now.known])
        if batch:
            features = FreezableBatchNormalization(freezes=encoder, name=f"{name}_normalized")(
                features
            )
        activate = keras.layers.ReLU() if encoder else keras.layers.LeakyReLU(_SLOPE)
        return _Masked(activate(features), known)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class PadToMultiple(keras.layers.Layer):
    """Images and masks -> the same with unknown pixels below and to the right, up to a multiple."""

    def __init__(self, multiple: int, **options: Any):
        super().__init__(**{**options, "dtype": "float32"})
        self.multiple = multiple

    def call(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        """Pad `(batch, height, width, ...)` each."""
        size = tf.shape(inputs[0])[1:3]
        more = tf.math.floormod(-size, self.multiple)
        paddings = [[0, 0], [0, more[0]], [0, more[1]], [0, 0]]
        return [tf.pad(tf.cast(each, tf.float32), paddings) for each in inputs]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="melanoma_tf")
class CropLike(keras.layers.Layer):
    """A padded image, and one of the size to crop it to -> the cropped one, float32."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Crop `(batch, height, width, channels)`."""
        image, like = inputs
        size = tf.shape(like)
        return tf.cast(image[:, : size[1], : size[2]], tf.float32)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class Fillings(keras.layers.Layer):
    """Images in [0, 255] and masks of what is known -> what the network is shown of fillings.

    Six channels, around 0: the smoothly filled image (`images.filling.fill`) in [-1, 1], and by how
    much it differs from one whose holes are four pixels wider on each side, in units of 32 levels.
    Remains of a hair around the holes, which a detector missed, are visible in that difference.
    """

    def __init__(self, **options: Any):
        super().__init__(**{**options, "dtype": "float32"})

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Fill twice."""
        images, known = inputs
        holes = 1.0 - known
        filled = fill(images, holes)
        around = fill(images, dilate(holes, 9))
        shown = tf.concat([filled / 127.5 - 1.0, (filled - around) / 32.0], -1)
        return tf.stop_gradient(shown)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class Centred(keras.layers.Layer):
    """[0, 255] -> [-1, 1], in the layer's compute dtype."""

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Scale."""
        return tf.cast(tf.cast(images, tf.float32) / 127.5 - 1.0, self.compute_dtype)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class RefinedFilling(keras.layers.Layer):
    """Fills again, from pixels as far as the network trusts them, and adds what it says.

    A detector leaves remains of a hair around its mask. A plain filling draws them into the hole;
    here the network can distrust them. With an output of 0 this is `images.filling.fill`, nearly.
    """

    def __init__(self, **options: Any):
        super().__init__(**{**options, "dtype": "float32"})

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Fill.

        Args:
            inputs: images in [0, 255], masks of what is known, and outputs of the network with
                four channels: what to add, in units of 16 levels, and the logarithm of the trust.

        Returns:
            Filled images in [0, 255].
        """
        images, known, output = inputs
        trust = known * tf.exp(tf.clip_by_value(4.0 * output[..., 3:], -7.0, 2.0))
        return fill_weighted(images, trust) + 16.0 * output[..., :3]


@keras.saving.register_keras_serializable(package="melanoma_tf")
class OnesLike(keras.layers.Layer):
    """A mask by which everything is known."""

    def call(self, mask: tf.Tensor) -> tf.Tensor:
        """Fill with 1."""
        return tf.ones_like(mask)


@keras.saving.register_keras_serializable(package="melanoma_tf")
class MaskPerChannel(keras.layers.Layer):
    """A mask of one channel -> one for each of several, float32."""

    def __init__(self, channels: int, **options: Any):
        super().__init__(**{**options, "dtype": "float32"})
        self.channels = channels

    def call(self, mask: tf.Tensor) -> tf.Tensor:
        """Repeat the only channel."""
        return tf.repeat(tf.cast(mask, tf.float32), self.channels, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels}
