"""EfficientNet-Lite classifiers and segmenters in PyTorch, layer by layer those of the package.

Layers are named as in `melanoma_tf.backbones.efficientnet_lite` and
`melanoma_tf.segmentation.lite_network`, and pad as TensorFlow does, so that weights move between
the two without loss (`convert.py` checks it).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3
STAGES = (
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)
VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
LEVELS = ((16, 128, 2), (8, 96, 2), (4, 48, 1), (2, 16, 1))
BOTTOM_FILTERS = 160
WIDEST_RATIO = 2.5


def rounded(filters: float) -> int:
    """Round to a multiple of 8, and not down by more than a tenth."""
    value = max(8, int(filters + 4) // 8 * 8)
    return value if value >= 0.9 * filters else value + 8


def blocks(variant: str) -> list[tuple]:
    """List `(name, filters, kernel, strides, expansion)` of each inverted bottleneck."""
    width, depth = VARIANTS[variant]
    found = []
    for number, (filters, count, kernel, strides, expansion) in enumerate(STAGES, start=1):
        count = count if number in (1, len(STAGES)) else math.ceil(depth * count)
        for index in range(count):
            name = f"block{number}{chr(ord('a') + index)}"
            found.append(
                (name, rounded(filters * width), kernel, 1 if index else strides, expansion)
            )
    return found


class Convolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's "same" does: more at the end than at the start."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            padding = kernel // 2
            return functional.conv2d(inputs, self.weight, self.bias, 1, padding, 1, self.groups)
        total = [max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in inputs.shape[2:]]
        pads = [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
        return functional.conv2d(
            functional.pad(inputs, pads), self.weight, self.bias, stride, 0, 1, self.groups
        )


class Encoder(nn.Module):
    """The feature extractor; `forward` returns the maps at strides 2 to 32 and the last ones."""

    def __init__(self, variant: str, momentum: float = 0.05, drop_path: float = 0.0):
        super().__init__()
        self.layers = nn.ModuleDict()
        self.blocks = blocks(variant)
        self.momentum, self.drop_path = momentum, drop_path
        channels = 32
        self._convolve("stem", 3, channels, 3, 2)
        for name, filters, kernel, strides, expansion in self.blocks:
            wide = channels * expansion
            if expansion > 1:
                self._convolve(f"{name}_expand", channels, wide, 1)
            layer = Convolution(wide, wide, kernel, strides, groups=wide, bias=False)
            self.layers[f"{name}_dwconv"] = layer
            self.layers[f"{name}_bn"] = self._normalization(wide)
            self._convolve(f"{name}_project", wide, filters, 1)
            channels = filters
        self.channels = channels
        self._convolve("top", channels, 1280, 1)

    def _convolve(self, name: str, inputs: int, outputs: int, kernel: int, strides: int = 1):
        self.layers[f"{name}_conv"] = Convolution(inputs, outputs, kernel, strides, bias=False)
        self.layers[f"{name}_bn"] = self._normalization(outputs)

    def _normalization(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, EPSILON, self.momentum)

    def forward(self, images: torch.Tensor, with_top: bool = True):
        layers, maps, stride = self.layers, {}, 2
        features = images / 128 - 127 / 128
        features = functional.relu6(layers["stem_bn"](layers["stem_conv"](features)))
        for index, (name, filters, _, strides, expansion) in enumerate(self.blocks):
            inputs = features
            if expansion > 1:
                features = layers[f"{name}_expand_conv"](features)
                features = functional.relu6(layers[f"{name}_expand_bn"](features))
            features = functional.relu6(layers[f"{name}_bn"](layers[f"{name}_dwconv"](features)))
            features = layers[f"{name}_project_bn"](layers[f"{name}_project_conv"](features))
            if strides == 1 and inputs.shape[1] == filters:
                features = self._dropped(features, index) + inputs
            stride *= strides
            maps[stride] = features
        if with_top:
            features = functional.relu6(layers["top_bn"](layers["top_conv"](features)))
        return maps, features

    def _dropped(self, features: torch.Tensor, index: int) -> torch.Tensor:
        rate = self.drop_path * index / len(self.blocks)
        if not self.training or rate == 0:
            return features
        kept = torch.rand(len(features), 1, 1, 1, device=features.device) >= rate
        return features * kept / (1 - rate)


class Classifier(nn.Module):
    """The encoder, global average pooling and logits; beside them, a coarse lesion map."""

    def __init__(self, variant: str, classes: int = 3, dropout: float = 0.2):
        super().__init__()
        self.encoder = Encoder(variant, drop_path=0.1)
        self.layers = nn.ModuleDict({"logits": nn.Linear(1280, classes)})
        # Used in training only: where the lesion is, at stride 16.
        self.outline = nn.Conv2d(rounded(112 * VARIANTS[variant][0]), 1, 1)
        self.dropout = dropout

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps, features = self.encoder(images)
        pooled = functional.dropout(features.mean((2, 3)), self.dropout, self.training)
        return self.layers["logits"](pooled).float(), self.outline(maps[16]).float()


class Segmenter(nn.Module):
    """The U-Net of `segmentation.lite_network`, batch normalisation; returns logits."""

    def __init__(self, variant: str, dropout: float = 0.1):
        super().__init__()
        self.encoder = Encoder(variant)
        self.layers = nn.ModuleDict()
        self.dropout = dropout
        skips = self._skip_channels()
        channels = self._convolve("bottom", self.encoder.channels, BOTTOM_FILTERS, 1)
        for stride, filters, count in LEVELS:
            if channels > WIDEST_RATIO * filters:
                channels = self._convolve(f"up{stride}_narrow", channels, filters, 1)
            channels += skips[stride]
            for index in range(1, count + 1):
                channels = self._convolve(f"up{stride}_conv{index}", channels, filters, 3)
        self.layers["logits"] = nn.Conv2d(channels, 1, 1)

    def _skip_channels(self) -> dict[int, int]:
        stride, found = 2, {}
        for _, filters, _, strides, _ in self.encoder.blocks:
            stride *= strides
            found[stride] = filters
        return found

    def _convolve(self, name: str, inputs: int, outputs: int, kernel: int) -> int:
        self.layers[name] = Convolution(inputs, outputs, kernel, bias=False)
        nn.init.kaiming_normal_(self.layers[name].weight)
        self.layers[f"{name}_normalized"] = nn.BatchNorm2d(outputs, EPSILON, 0.05)
        return outputs

    def _block(self, features: torch.Tensor, name: str) -> torch.Tensor:
        return functional.relu(self.layers[f"{name}_normalized"](self.layers[name](features)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps, _ = self.encoder(images, with_top=False)
        features = functional.dropout2d(maps[32], self.dropout, self.training)
        features = self._block(features, "bottom")
        for stride, _, count in LEVELS:
            if f"up{stride}_narrow" in self.layers:
                features = self._block(features, f"up{stride}_narrow")
            features = functional.interpolate(features, scale_factor=2, mode="bilinear")
            features = torch.cat([maps[stride], features], 1)
            for index in range(1, count + 1):
                features = self._block(features, f"up{stride}_conv{index}")
        logits = self.layers["logits"](features).float()
        return functional.interpolate(logits, scale_factor=2, mode="bilinear")


def _tensors(module: nn.Module) -> dict[str, tuple[torch.Tensor, str]]:
    """Map LAYER/VARIABLE to a tensor and how its axes lie."""
    found = {}
    for path, layer in module.named_modules():
        name = path.rsplit(".", 1)[-1]
        if isinstance(layer, nn.BatchNorm2d):
            found[f"{name}/gamma"] = (layer.weight, "as is")
            found[f"{name}/beta"] = (layer.bias, "as is")
            found[f"{name}/moving_mean"] = (layer.running_mean, "as is")
            found[f"{name}/moving_variance"] = (layer.running_var, "as is")
        elif isinstance(layer, (nn.Conv2d, nn.Linear)) and name != "outline":
            if isinstance(layer, nn.Linear):
                found[f"{name}/kernel"] = (layer.weight, "dense")
            elif layer.groups > 1:
                found[f"{name}/depthwise_kernel"] = (layer.weight, "depthwise")
            else:
                found[f"{name}/kernel"] = (layer.weight, "convolution")
            if layer.bias is not None:
                found[f"{name}/bias"] = (layer.bias, "as is")
    return found


_TO_KERAS = {"convolution": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}
_FROM_KERAS = {"convolution": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}


def keras_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the weights by LAYER/VARIABLE, arranged as Keras has them."""
    return {
        name: value.detach().float().cpu().numpy().transpose(_TO_KERAS.get(kind, (0,)))
        for name, (value, kind) in _tensors(module).items()
    }


def load_keras_arrays(module: nn.Module, arrays: dict[str, np.ndarray]) -> int:
    """Give a network the arrays of its layers that are there and fit; returns their number."""
    loaded = 0
    for name, (value, kind) in _tensors(module).items():
        if name not in arrays:
            continue
        axes = _FROM_KERAS.get(kind, (0,))
        if arrays[name].ndim != len(axes):
            continue
        array = arrays[name].astype(np.float32).transpose(axes)
        if array.shape == tuple(value.shape):
            with torch.no_grad():
                value.copy_(torch.from_numpy(np.ascontiguousarray(array)))
            loaded += 1
    return loaded
