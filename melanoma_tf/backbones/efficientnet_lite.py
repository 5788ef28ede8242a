"""EfficientNet-Lite: a backbone for small machines, with ImageNet weights that ship.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", in the
Lite variant of its authors: no squeeze-and-excitation, ReLU6 in place of swish, and a stem and a
head of the same width and depth for every size. It takes RGB in [0, 255] and normalises inside.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from melanoma_tf.core.arrays import array_names, read_arrays
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.keras import OWN_GENERATOR, keras
from melanoma_tf.pretrained import shipped_folder

SMALLEST_INPUT_PX = 32
NUM_IMAGENET_CLASSES = 1000
STRIDES = (2, 4, 8, 16, 32)
_STEM_FILTERS = 32
_HEAD_FILTERS = 1280
_FILTER_DIVISOR = 8
_EPSILON = 1e-3


class Variant(NamedTuple):
    """The size of a network.

    Attributes:
        width: factor of the filters of all blocks.
        depth: factor of the number of blocks in a stage, except the first and the last stage.
        image_size_px: side of the images of the ImageNet training.
        dropout: fraction of the pooled features dropped in training, with the top.
    """

    width: float
    depth: float
    image_size_px: int
    dropout: float


VARIANTS: dict[str, Variant] = {
    "lite0": Variant(1.0, 1.0, 224, 0.2),
    "lite1": Variant(1.0, 1.1, 240, 0.2),
    "lite2": Variant(1.1, 1.2, 260, 0.3),
}


class _Stage(NamedTuple):
    """Blocks of one width; the first block has the stride."""

    filters: int
    blocks: int
    kernel: int
    strides: int
    expansion: int


_STAGES = (
    _Stage(16, 1, 3, 1, 1),
    _Stage(24, 2, 3, 2, 6),
    _Stage(40, 2, 5, 2, 6),
    _Stage(80, 3, 3, 2, 6),
    _Stage(112, 3, 5, 1, 6),
    _Stage(192, 4, 5, 2, 6),
    _Stage(320, 1, 3, 1, 6),
)


class Block(NamedTuple):
    """One inverted bottleneck.

    Attributes:
        name: `block1a`, `block2a`, `block2b`, ...
        filters: of its output.
        kernel: side of the depthwise kernel.
        strides: of the depthwise convolution.
        expansion: factor of its input's filters that the depthwise convolution sees.
    """

    name: str
    filters: int
    kernel: int
    strides: int
    expansion: int


def blocks(variant: str) -> list[Block]:
    """List the blocks of a network, from input to output.

    Raises:
        MelanomaError: unknown variant.
    """
    width, depth, *_ = _variant(variant)
    found = []
    for number, stage in enumerate(_STAGES, start=1):
        fixed = number in (1, len(_STAGES))
        count = stage.blocks if fixed else math.ceil(depth * stage.blocks)
        for index in range(count):
            name = f"block{number}{chr(ord('a') + index)}"
            strides = 1 if index else stage.strides
            filters = _round_filters(stage.filters * width)
            found.append(Block(name, filters, stage.kernel, strides, stage.expansion))
    return found


def build_efficientnet_lite(
    variant: str = "lite0",
    *,
    image_size_px: int | None = None,
    input_tensor: tf.Tensor | None = None,
    include_top: bool = False,
    num_classes: int = NUM_IMAGENET_CLASSES,
    momentum: float = 0.99,
) -> keras.Model:
    """Build the network, with random weights; `load_weights` gives it those of ImageNet.

    Args:
        variant: `lite0`, `lite1` or `lite2`.
        image_size_px: side of the square input in pixels, at least 32; None takes images of any
            size. Not used with an input tensor.
        input_tensor: images `(batch, height, width, 3)` to build on, in place of a new input.
        include_top: end in the logits of classes, not in the feature maps.
        num_classes: number of logits.
        momentum: fraction of the old statistics that batch normalisation keeps at each step.

    Returns:
        A Functional model from RGB `(batch, height, width, 3)` in [0, 255] to ReLU6 features
        `(batch, height / 32, width / 32, 1280)`, or with the top to float32 logits
        `(batch, num_classes)`. `stage_outputs` gives the feature maps at all strides.

    Raises:
        MelanomaError: unknown variant, or an image size below 32 px.
    """
    dropout = _variant(variant).dropout
    if input_tensor is None:
        if image_size_px is not None and image_size_px < SMALLEST_INPUT_PX:
            raise MelanomaError(
                f"expected an image size of at least {SMALLEST_INPUT_PX} px; found {image_size_px}"
            )
        images = keras.Input((image_size_px, image_size_px, 3), name="images")
    else:
        images = input_tensor
    layers = _Layers(momentum)
    # float32 also under mixed precision: bfloat16 has 8 bits for 256 levels and what is between.
    features = keras.layers.Rescaling(
        1 / 128, offset=-127 / 128, dtype="float32", name="rescaling"
    )(images)
    features = layers.convolve(features, "stem", _STEM_FILTERS, kernel=3, strides=2)
    for block in blocks(variant):
        features = layers.bottleneck(features, block)
    features = layers.convolve(features, "top", _HEAD_FILTERS, kernel=1)
    if include_top:
        features = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
        features = keras.layers.Dropout(dropout, name="dropout", **OWN_GENERATOR)(features)
        features = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(images, features, name=f"efficientnet_{variant}")


def stage_outputs(network: keras.Model, variant: str) -> dict[int, tf.Tensor]:
    """Look up the last feature maps at each stride, for a decoder.

    Args:
        network: what `build_efficientnet_lite` returned, or a model built on its layers.
        variant: the one it was built with.

    Returns:
        The symbolic outputs at strides 2, 4, 8, 16 and 32, with 16, 24, 40, 112 and 320 channels
        for `lite0` and `lite1`. They are linear: the activation lies within the blocks.
    """
    last: dict[int, str] = {}
    stride, channels = 2, _STEM_FILTERS
    for block in blocks(variant):
        stride *= block.strides
        last[stride] = _last_layer(block, channels)
        channels = block.filters
    return {each: network.get_layer(name).output for each, name in last.items()}


def load_weights(network: keras.Model, path: Path) -> None:
    """Give a network the weights of a file that `scripts/convert_efficientnet_lite.py` wrote.

    The top of the file is not used where the network has none.

    Args:
        network: what `build_efficientnet_lite` returned.
        path: a `.npz` file of arrays called LAYER/VARIABLE.

    Raises:
        MelanomaError: no such file, a damaged one, or one of another network.
    """
    variables = named_variables(network)
    stored = array_names(path)
    missing = sorted(variables.keys() - set(stored))
    unknown = sorted(name for name in set(stored) - variables.keys() if not _is_top(name))
    if missing or unknown:
        found = f"no {missing[0]}" if missing else f"{unknown[0]} too"
        raise MelanomaError(f"{path}: expected the weights of {network.name}; found {found}")
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    for name, value in read_arrays(path, shapes).items():
        variables[name].assign(value.astype(np.float32))


def named_variables(network: keras.Model) -> dict[str, tf.Variable]:
    """Map LAYER/VARIABLE to each variable of a network, in the order of `network.weights`."""
    return {
        f"{layer.name}/{variable.name.rsplit('/', 1)[-1].split(':', 1)[0]}": variable
        for layer in network.layers
        for variable in layer.weights
    }


def imagenet_weights(variant: str) -> Path:
    """Find the ImageNet weights that ship with the package.

    Raises:
        MelanomaError: unknown variant, or one whose weights do not ship.
    """
    _variant(variant)
    path = shipped_folder() / f"efficientnet_{variant}.npz"
    if not path.is_file():
        raise MelanomaError(
            f"the ImageNet weights of efficientnet-{variant} do not ship; expected "
            "efficientnet-lite0, or --weights FILE.npz made by scripts/convert_efficientnet_lite.py"
        )
    return path


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise MelanomaError(f"expected a variant out of {', '.join(VARIANTS)}; found {name}")
    return VARIANTS[name]


def _round_filters(filters: float) -> int:
    """Round to a multiple of 8, and not down by more than a tenth."""
    divisor = _FILTER_DIVISOR
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * filters else rounded + divisor


def _has_shortcut(block: Block, channels: int) -> bool:
    return block.strides == 1 and block.filters == channels


def _last_layer(block: Block, channels: int) -> str:
    """Name the layer that ends a block, given the channels of its input."""
    return f"{block.name}_add" if _has_shortcut(block, channels) else f"{block.name}_project_bn"


class _Layers:
    """Convolutions with batch normalisation, named as in `keras.applications`."""

    def __init__(self, momentum: float):
        self._momentum = momentum
        # Over several replicas the statistics are those of the global batch; on one, the fused
        # kernel is several times as fast.
        self._synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def convolve(
        self, features: tf.Tensor, name: str, filters: int, *, kernel: int, strides: int = 1
    ) -> tf.Tensor:
        features = self._convolution(filters, kernel, strides, f"{name}_conv")(features)
        return self._activate(self._normalize(f"{name}_bn")(features), f"{name}_relu")

    def bottleneck(self, inputs: tf.Tensor, block: Block) -> tf.Tensor:
        name, channels = block.name, inputs.shape[-1]
        features = inputs
        if block.expansion > 1:
            features = self._convolution(channels * block.expansion, 1, 1, f"{name}_expand_conv")(
                features
            )
            features = self._normalize(f"{name}_expand_bn")(features)
            features = self._activate(features, f"{name}_expand_relu")
        features = keras.layers.DepthwiseConv2D(
            block.kernel,
            block.strides,
            padding="same",
            use_bias=False,
            depthwise_initializer="he_normal",
            name=f"{name}_dwconv",
        )(features)
        features = self._activate(self._normalize(f"{name}_bn")(features), f"{name}_relu")
        features = self._convolution(block.filters, 1, 1, f"{name}_project_conv")(features)
        features = self._normalize(f"{name}_project_bn")(features)
        if not _has_shortcut(block, channels):
            return features
        return keras.layers.Add(name=f"{name}_add")([features, inputs])

    def _convolution(
        self, filters: int, kernel: int, strides: int, name: str
    ) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )

    def _normalize(self, name: str) -> keras.layers.Layer:
        return keras.layers.BatchNormalization(
            epsilon=_EPSILON, momentum=self._momentum, synchronized=self._synchronized, name=name
        )

    def _activate(self, features: tf.Tensor, name: str) -> tf.Tensor:
        return keras.layers.ReLU(6.0, name=name)(features)


def _is_top(name: str) -> bool:
    return name.startswith("logits/")
