"""Which stack runs: TensorFlow 2.15 with Addons and I/O, or a newer TensorFlow without them."""

from __future__ import annotations

import importlib.util

import tensorflow as tf

# From 2.16 on `tensorflow.keras` is Keras 3, on which Addons and I/O do not load.
IS_TENSORFLOW_2_15 = tuple(int(part) for part in tf.__version__.split(".")[:2]) < (2, 16)


def is_usable(package: str) -> bool:
    """Tell whether `tensorflow_addons` or `tensorflow_io` is installed and made for this stack."""
    return IS_TENSORFLOW_2_15 and importlib.util.find_spec(package) is not None
