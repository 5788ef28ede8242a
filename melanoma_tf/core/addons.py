"""The functions of TensorFlow Addons in use: the only module that imports it.

Where Addons does not load, `addons_replacements` has the same functions.
"""

from __future__ import annotations

import warnings

from melanoma_tf.core.stack import is_usable

if is_usable("tensorflow_addons"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Addons announces its end of life at every import.
        from tensorflow_addons.image import dense_image_warp
        from tensorflow_addons.metrics import CohenKappa, MatthewsCorrelationCoefficient
else:
    from melanoma_tf.core.addons_replacements import (
        CohenKappa,
        MatthewsCorrelationCoefficient,
        dense_image_warp,
    )

__all__ = ["CohenKappa", "MatthewsCorrelationCoefficient", "dense_image_warp"]
