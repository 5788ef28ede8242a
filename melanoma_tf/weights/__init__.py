"""The small trained networks that ship with the package, each with its model card.

find_lesion = load_segmenter()
probability = find_lesion(image)   # float32 (height, width)
mask = find_lesion.mask(image)     # uint8 (height, width), 0 or 255
purified, replaced = melanoma_tf.images.occlusion.purify_by(
    load_inpainter(), images, find=load_detector()
)
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
from melanoma_tf.models.hole_filler import HoleFiller
from melanoma_tf.models.inpainter import build_inpainter
from melanoma_tf.models.lesion_finder import LesionFinder, Use
from melanoma_tf.models.occlusion_detector import build_detector
from melanoma_tf.models.occlusion_finder import OcclusionFinder
from melanoma_tf.models.segmenter import build_segmenter

SEGMENTER, INPAINTER, DETECTOR = "segmenter", "inpainter", "occlusion_detector"
_SEGMENTER_NETWORK = (
    "base_filters",
    "padding",
    "normalization",
    "dropout",
    "colour_constancy",
    "skin_reference",
    "chroma",
)
_USE = ("threshold", "adapt", "flips", "refine", "largest_only")
_DETECTOR_NETWORK = ("base_filters", "levels")
_INPAINTER_NETWORK = ("base_filters", "levels", "normalization", "start", "full_size")


def load_segmenter() -> LesionFinder:
    """The segmenter that ships, see `segmenter.md` beside this file for what it is.

    Returns:
        A callable from RGB `(height, width, 3)` in [0, 255] to the lesion's probability, float32
        `(height, width)`; its `mask` gives uint8, 0 or 255.
    """
    return read_segmenter(_here())


def load_inpainter() -> HoleFiller:
    """The data purification network that ships, see `inpainter.md` beside this file.

    Returns:
        What `images.occlusion.purify_by` takes: a callable that fills holes of images.
    """
    return read_inpainter(_here())


def load_detector() -> OcclusionFinder:
    """The occlusion detector that ships, see `occlusion_detector.md` beside this file.

    Returns:
        What `images.occlusion.purify_by` takes for `find`.
    """
    return read_detector(_here())


def read_segmenter(folder: Path) -> LesionFinder:
    """Read what `write_segmenter` wrote."""
    settings = _read_settings(folder, SEGMENTER)
    network = {name: settings[name] for name in _SEGMENTER_NETWORK}
    model = build_segmenter(settings["image_size_px"], **network)
    _read_weights(model, folder, SEGMENTER)
    return LesionFinder(model, Use(**{name: settings[name] for name in _USE}))


def read_inpainter(folder: Path) -> HoleFiller:
    """Read what `write_inpainter` wrote."""
    settings = _read_settings(folder, INPAINTER)
    model = build_inpainter(**{name: settings[name] for name in _INPAINTER_NETWORK})
    _read_weights(model, folder, INPAINTER)
    return HoleFiller(model)


def read_detector(folder: Path) -> OcclusionFinder:
    """Read what `write_detector` wrote."""
    settings = _read_settings(folder, DETECTOR)
    model = build_detector(**{name: settings[name] for name in _DETECTOR_NETWORK})
    _read_weights(model, folder, DETECTOR)
    return OcclusionFinder(model, settings["threshold"])


def write_segmenter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write a network's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_segmenter` made of the settings.
        folder: gets `segmenter.npz` and `segmenter.json`.
        settings: the arguments of `build_segmenter` (with `image_size_px` for its input size) and
            of `models.lesion_finder.Use`, by name; what else is there is kept as it is.
    """
    _write(model, folder, SEGMENTER, settings)


def write_inpainter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write an inpainter's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_inpainter` made of the settings.
        folder: gets `inpainter.npz` and `inpainter.json`.
        settings: the arguments of `build_inpainter`, by name; what else is there is kept.
    """
    _write(model, folder, INPAINTER, settings)


def write_detector(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write an occlusion detector's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_detector` returns.
        folder: gets `occlusion_detector.npz` and `occlusion_detector.json`.
        settings: the arguments of `build_detector`, and `threshold`; what else is there is kept.
    """
    _write(model, folder, DETECTOR, settings)


def _here() -> Path:
    return Path(str(resources.files(__name__)))


def _read_settings(folder: Path, name: str) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return settings


def _read_weights(model: keras.Model, folder: Path, name: str) -> None:
    with np.load(folder / f"{name}.npz") as stored:
        model.set_weights([stored[key].astype(np.float32) for key in _keys(len(model.weights))])
    model.trainable = False


def _write(model: keras.Model, folder: Path, name: str, settings: dict[str, Any]) -> None:
    values = model.get_weights()
    content = io.BytesIO()
    stored = {key: value.astype(np.float16) for key, value in zip(_keys(len(values)), values)}
    np.savez_compressed(content, **stored)
    write_atomically(folder / f"{name}.npz", content.getvalue())
    write_json(folder / f"{name}.json", settings)


def _keys(count: int) -> list[str]:
    return [f"weight_{index:03d}" for index in range(count)]
