"""Networks that tell classes apart: backbones, the classifier on top, and their features."""
