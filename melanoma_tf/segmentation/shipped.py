"""The segmenter that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow import keras

from melanoma_tf.core.settings import field_types
from melanoma_tf.pretrained import read_settings, read_weights, shipped_folder, write_network
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.settings import InferenceSettings

NAME = "segmenter"
_NETWORK = (
    "base_filters",
    "padding",
    "normalization",
    "dropout",
    "colour_constancy",
    "skin_white_balance",
    "chroma",
)
_INFERENCE = tuple(field_types(InferenceSettings))


def shipped_segmenter() -> LesionSegmenter:
    """The segmenter that ships; `pretrained/segmenter.md` is its card.

    Returns:
        A callable from RGB `(height, width, 3)` in [0, 255] to the lesion's probability, float32
        `(height, width)`; its `mask` gives uint8, 0 or 255.
    """
    return read_segmenter(shipped_folder())


def read_segmenter(folder: Path) -> LesionSegmenter:
    """Read what `write_segmenter` wrote."""
    settings = read_settings(folder, NAME)
    network = {name: settings[name] for name in _NETWORK}
    model = build_segmenter(settings["image_size_px"], **network)
    read_weights(model, folder, NAME)
    inference = {name: settings[name] for name in _INFERENCE}
    return LesionSegmenter(model, InferenceSettings.from_json(inference, f"{NAME}.json"))


def write_segmenter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write a network's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_segmenter` made of the settings.
        folder: gets `segmenter.npz` and `segmenter.json`.
        settings: the arguments of `build_segmenter` (with `image_size_px` for its input size) and
            of `InferenceSettings`, by name; further values are stored too.
    """
    write_network(model, folder, NAME, settings)
