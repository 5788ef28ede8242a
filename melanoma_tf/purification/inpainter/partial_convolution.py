"""Partial convolution (Liu et al. 2018): a convolution that looks at known pixels only."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import keras

BORDERS = ("hole", "valid")
PADDINGS = ("same", "valid")


@keras.saving.register_keras_serializable(package="melanoma_tf")
class PartialConv2D(keras.layers.Layer):
    """`W(X * M) * sum(1) / sum(M) + b` where the window holds anything known, else 0.

    Liu et al. 2018, "Image Inpainting for Irregular Holes Using Partial Convolutions", Equations 1
    and 2. Both sums run over the same window and channels; the mask becomes 1 where the window
    held anything known. With a mask of ones this is a plain convolution, except at the border.

    Args:
        filters: number of output channels.
        kernel_size: side of the window.
        strides: of the window.
        padding: `same` or `valid`, as in `keras.layers.Conv2D`.
        border: what the padding of `same` counts as. `hole` as in the authors' implementation:
            sum(1) counts the whole window, so that the border is renormalised too. `valid`: zeros
            that are known, as a plain convolution takes them.
        use_bias: add `b`.
        kernel_initializer: of `W`.
        name: of the layer.
        options: further ones of `keras.layers.Layer`.

    Raises:
        MelanomaError: unknown padding or border, or a size below 1.

    Example:
        >>> import tensorflow as tf
        >>> import melanoma_tf as mt
        >>> layer = mt.PartialConv2D(4, 3)
        >>> features, known = layer((tf.ones([1, 8, 8, 3]), tf.ones([1, 8, 8, 1])))
        >>> tuple(features.shape), tuple(known.shape)
        ((1, 8, 8, 4), (1, 8, 8, 1))
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        padding: str = "same",
        border: str = "hole",
        use_bias: bool = True,
        kernel_initializer: Any = "he_normal",
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(name=name, **options)
        if padding not in PADDINGS:
            raise MelanomaError(f"expected a padding out of {', '.join(PADDINGS)}; found {padding}")
        if border not in BORDERS:
            raise MelanomaError(f"expected a border out of {', '.join(BORDERS)}; found {border}")
        if min(filters, kernel_size, strides) < 1:
            raise MelanomaError(
                f"expected filters, kernel size and strides of at least 1; "
                f"found {filters}, {kernel_size} and {strides}"
            )
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.padding, self.border, self.use_bias = padding, border, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[tf.TensorShape, tf.TensorShape]) -> None:
        """Make the weights."""
        features, mask = (tf.TensorShape(shape) for shape in input_shape)
        channels = features[-1]
        if mask[-1] not in (1, channels):
            raise MelanomaError(
                f"expected a mask of 1 or {channels} channels, as the features; found {mask[-1]}"
            )
        self.kernel = self.add_weight(
            "kernel",
            (self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Convolve.

        Args:
            inputs: features `(batch, height, width, channels)`, and their mask of as many
                channels or of one for all: 1 where they are known, else 0.

        Returns:
            Features `(batch, new height, new width, filters)` of the layer's compute dtype, and
            their mask, float32 `(batch, new height, new width, 1)`, which no gradient goes into.
        """
        features, mask = inputs
        scale, known = self._counted(tf.stop_gradient(tf.cast(mask, tf.float32)), features)
        dtype = self.compute_dtype
        seen = tf.cast(features, dtype) * tf.cast(tf.stop_gradient(mask), dtype)
        convolved = tf.nn.conv2d(
            seen, tf.cast(self.kernel, dtype), self.strides, self.padding.upper()
        )
        convolved *= tf.cast(scale, dtype)
        if self.use_bias:  # After the renormalisation, and not where nothing is known.
            convolved = tf.nn.bias_add(convolved, tf.cast(self.bias, dtype)) * tf.cast(known, dtype)
        return convolved, known

    def _counted(self, mask: tf.Tensor, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """sum(1) / sum(M), 0 where nothing is known, and the new mask.

        In float32 under every policy: float16 counts exactly to 2,048 only.
        """
        channels = features.shape[-1]
        per_pixel = channels * mask if mask.shape[-1] == 1 else tf.reduce_sum(mask, -1, True)
        total = self._window_sum(per_pixel)
        if self.border == "valid" and self.padding == "same":
            inside = self._window_sum(tf.ones_like(per_pixel[:1]))
            total += channels * (self.kernel_size**2 - inside)
        whole = float(channels * self.kernel_size**2)
        return tf.math.divide_no_nan(whole, total), tf.cast(total > 0.5, tf.float32)

    def _window_sum(self, plane: tf.Tensor) -> tf.Tensor:
        ones = tf.ones([self.kernel_size, self.kernel_size, 1, 1])
        return tf.nn.conv2d(plane, ones, self.strides, self.padding.upper())

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "border": self.border,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
