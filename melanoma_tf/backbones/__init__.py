"""Networks that tell classes apart: backbones, the classifier on top, and their features."""

from __future__ import annotations

# Of `backbones.networks.BACKBONES`; here, so that settings load without TensorFlow.
BACKBONE_NAMES = ("resnet50", "efficientnetv2-b0", "mobilenetv3-small", "small")
