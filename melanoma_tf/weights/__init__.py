"""The small trained networks that ship with the package, each with its model card.

find_lesion = load_segmenter()
probability = find_lesion(image)   # float32 (height, width)
mask = find_lesion.mask(image)     # uint8 (height, width), 0 or 255
"""

from __future__ import annotations

import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow import keras

from melanoma_tf.files import write_atomically, write_json
from melanoma_tf.models.lesion_finder import LesionFinder, Use
from melanoma_tf.models.segmenter import build_segmenter

SEGMENTER = "segmenter"
_NETWORK = (
    "base_filters",
    "padding",
    "normalization",
    "dropout",
    "colour_constancy",
    "skin_reference",
    "chroma",
)
_USE = ("threshold", "adapt", "flips", "refine", "largest_only")


def load_segmenter() -> LesionFinder:
    """The segmenter that ships, see `segmenter.md` beside this file for what it is.

    Returns:
        A callable from RGB `(height, width, 3)` in [0, 255] to the lesion's probability, float32
        `(height, width)`; its `mask` gives uint8, 0 or 255.
    """
    return read_segmenter(Path(str(resources.files(__name__))))


def read_segmenter(folder: Path) -> LesionFinder:
    """Read what `write_segmenter` wrote."""
    settings = json.loads((folder / f"{SEGMENTER}.json").read_text(encoding="utf-8"))
    network = {name: settings[name] for name in _NETWORK}
    model = build_segmenter(settings["image_size_px"], **network)
    with np.load(folder / f"{SEGMENTER}.npz") as stored:
        model.set_weights([stored[key].astype(np.float32) for key in _keys(len(model.weights))])
    model.trainable = False
    return LesionFinder(model, Use(**{name: settings[name] for name in _USE}))


def write_segmenter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write a network's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_segmenter` made of the settings.
        folder: gets `segmenter.npz` and `segmenter.json`.
        settings: the arguments of `build_segmenter` (with `image_size_px` for its input size) and
            of `models.lesion_finder.Use`, by name; what else is there is kept as it is.
    """
    values = model.get_weights()
    content = io.BytesIO()
    stored = {key: value.astype(np.float16) for key, value in zip(_keys(len(values)), values)}
    np.savez_compressed(content, **stored)
    write_atomically(folder / f"{SEGMENTER}.npz", content.getvalue())
    write_json(folder / f"{SEGMENTER}.json", settings)


def _keys(count: int) -> list[str]:
    return [f"weight_{index:03d}" for index in range(count)]
