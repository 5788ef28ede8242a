"""The DCGANs of the package in PyTorch: Tables 2 and 5 of Bisla et al. 2019.

Layers are named as in `melanoma_tf.generation.dcgan` and `coupled_dcgan`, so that weights move
between the two (`convert_gan.py` compares images of both).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Channels by level from 4x4 up; the generator's last level has the image's three in their place.
GENERATOR_CHANNELS = (256, 128, 64, 32, 16, 8)
DISCRIMINATOR_CHANNELS = (512, 256, 128, 64, 32, 16)
OWN_LAYERS = 3
LEAK = 0.2
EPSILON = 1e-5
# Keras' momentum of 0.9: what is kept, not what is taken.
TAKEN = 0.1


def levels(size_px: int) -> int:
    """The number of times that a map of 4x4 is doubled to reach the image."""
    return (size_px // 4).bit_length() - 1


def normalization(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels, EPSILON, TAKEN)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


class SpectralConvolution(nn.Conv2d):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018)."""

    def __init__(self, *sizes: int, **options):
        super().__init__(*sizes, bias=True, **options)
        nn.init.normal_(self.weight, 0.0, 0.02)
        nn.init.zeros_(self.bias)
        self.register_buffer("singular_vector", torch.randn(1, self.out_channels))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            rows = self.weight.flatten(1).t()
            with torch.no_grad():
                right = functional.normalize(self.singular_vector, dim=1)
                left = functional.normalize(right @ rows.t(), dim=1)
                if self.training:
                    right = functional.normalize(left @ rows, dim=1)
                    self.singular_vector.copy_(right)
            largest = (left @ rows @ right.t()).squeeze()
        weight = self.weight / largest
        return functional.conv2d(inputs, weight, self.bias, self.stride, self.padding)


class Layers(nn.Module):
    """Layers by name."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()

    def grow(self, name: str, inputs: int, outputs: int, **options) -> int:
        """Add a transposed convolution that doubles the size, normalised unless it has a bias."""
        layer = nn.ConvTranspose2d(inputs, outputs, 4, **options)
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is None:
            self.layers[f"{name}_normalized"] = normalization(outputs)
        else:
            nn.init.zeros_(layer.bias)
        self.layers[name] = layer
        return outputs

    def grown(self, features: torch.Tensor, name: str) -> torch.Tensor:
        return functional.relu(self.layers[f"{name}_normalized"](self.layers[name](features)))

    def shrink(self, name: str, inputs: int, outputs: int, spectral: bool, first: bool, **options):
        """Add a convolution, normalised by its spectrum, or by the batch unless it is the first."""
        if spectral:
            layer = SpectralConvolution(inputs, outputs, 4, **options)
            self.layers[f"{name}_spectral"] = layer
            return outputs
        layer = nn.Conv2d(inputs, outputs, 4, bias=first, **options)
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if first:
            nn.init.zeros_(layer.bias)
        else:
            self.layers[f"{name}_normalized"] = normalization(outputs)
        self.layers[name] = layer
        return outputs

    def shrunk(self, features: torch.Tensor, name: str) -> torch.Tensor:
        if f"{name}_spectral" in self.layers:
            features = self.layers[f"{name}_spectral"](features)
        else:
            features = self.layers[name](features)
            if f"{name}_normalized" in self.layers:
                features = self.layers[f"{name}_normalized"](features)
        return functional.leaky_relu(features, LEAK)


class Generator(Layers):
    """From `(batch, latent_size)` to RGB in [-1, 1], `(batch, classes, 3, size, size)`."""

    def __init__(self, classes: int, coupled: bool, size_px: int, latent_size: int):
        super().__init__()
        double = {"stride": 2, "padding": 1}
        channels = GENERATOR_CHANNELS[1 : levels(size_px)]
        own = 1 - OWN_LAYERS if coupled else len(channels)
        width, side = self.grow("first", latent_size, GENERATOR_CHANNELS[0], bias=False), 4
        self.trunk: list[str] = []
        for outputs in channels[:own]:
            side *= 2
            width = self.grow(f"up_{side}", width, outputs, bias=False, **double)
            self.trunk.append(f"up_{side}")
        self.heads: list[list[str]] = []
        for index in range(classes):
            prefix = f"class{index}_" if coupled else ""
            head, inputs, at = [], width, side
            for outputs in channels[own:]:
                at *= 2
                inputs = self.grow(f"{prefix}up_{at}", inputs, outputs, bias=False, **double)
                head.append(f"{prefix}up_{at}")
            self.grow(f"{prefix}image", inputs, 3, bias=True, **double)
            self.heads.append([*head, f"{prefix}image"])

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        features = self.grown(latents[:, :, None, None], "first")
        for name in self.trunk:
            features = self.grown(features, name)
        images = []
        for *head, last in self.heads:
            own = features
            for name in head:
                own = self.grown(own, name)
            images.append(torch.tanh(self.layers[last](own).float()))
        return torch.stack(images, 1)


class Discriminator(Layers):
    """From RGB in [-1, 1], `(batch, classes, 3, size, size)`, to logits `(batch, classes)`."""

    def __init__(self, classes: int, coupled: bool, size_px: int, spectral: bool):
        super().__init__()
        half = {"stride": 2, "padding": 1}
        channels = DISCRIMINATOR_CHANNELS[: levels(size_px)][::-1]
        own = OWN_LAYERS if coupled else 0
        self.stems: list[list[str]] = []
        width, side = 3, size_px
        for index in range(classes if coupled else 0):
            width, side, stem = 3, size_px, []
            for outputs in channels[:own]:
                side //= 2
                name = f"class{index}_down_{side}"
                width = self.shrink(name, width, outputs, spectral, not stem, **half)
                stem.append(name)
            self.stems.append(stem)
        self.trunk = []
        for outputs in channels[own:]:
            side //= 2
            first = not coupled and not self.trunk
            width = self.shrink(f"down_{side}", width, outputs, spectral, first, **half)
            self.trunk.append(f"down_{side}")
        self.shrink("last", width, 1, spectral, True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        batch, classes = images.shape[:2]
        if self.stems:
            by_class = []
            for index, stem in enumerate(self.stems):
                features = images[:, index]
                for name in stem:
                    features = self.shrunk(features, name)
                by_class.append(features)
            features = torch.stack(by_class, 1).flatten(0, 1)
        else:
            features = images.flatten(0, 1)
        for name in self.trunk:
            features = self.shrunk(features, name)
        last = self.layers["last_spectral" if "last_spectral" in self.layers else "last"]
        return last(features).float().view(batch, classes)


def keras_arrays(network: Layers) -> dict[str, np.ndarray]:
    """Return the weights by LAYER/VARIABLE, arranged as Keras has them."""
    found: dict[str, np.ndarray] = {}
    for name, layer in network.layers.items():
        if isinstance(layer, nn.BatchNorm2d):
            values = {
                "gamma": layer.weight,
                "beta": layer.bias,
                "moving_mean": layer.running_mean,
                "moving_variance": layer.running_var,
            }
        else:
            # (out, in, h, w), or transposed (in, out, h, w): in Keras the other way round.
            values = {"kernel": layer.weight.permute(2, 3, 1, 0)}
            if layer.bias is not None:
                values["bias"] = layer.bias
            if isinstance(layer, SpectralConvolution):
                values["singular_vector"] = layer.singular_vector
        for variable, value in values.items():
            found[f"{name}/{variable}"] = value.detach().float().cpu().numpy().copy()
    return found
