"""The functions of TensorFlow Addons in use: the only module that imports it."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Addons announces its end of life at every import.
    from tensorflow_addons.image import dense_image_warp
    from tensorflow_addons.metrics import CohenKappa, MatthewsCorrelationCoefficient

__all__ = ["CohenKappa", "MatthewsCorrelationCoefficient", "dense_image_warp"]
