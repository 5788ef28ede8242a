"""SavedModels for TensorFlow Serving, and clients of them.

`serving.load(folder)` gives a classifier or a segmenter, by what was exported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from melanoma_tf.serving.loader import load, load_classifier, load_segmenter

__all__ = ["load", "load_classifier", "load_segmenter"]


def __getattr__(name: str) -> Any:
    """Import the loader when it is used, so that the package loads without TensorFlow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from melanoma_tf.serving import loader

    return getattr(loader, name)
