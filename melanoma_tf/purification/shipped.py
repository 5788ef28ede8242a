"""The networks of purification that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from melanoma_tf.core.keras import keras
from melanoma_tf.pretrained import read_settings, read_weights, shipped_folder, write_network
from melanoma_tf.purification.detector.inference import OcclusionDetector
from melanoma_tf.purification.detector.network import build_detector
from melanoma_tf.purification.inpainter.inference import Inpainter
from melanoma_tf.purification.inpainter.network import build_inpainter

INPAINTER_NAME, DETECTOR_NAME = "inpainter", "occlusion_detector"
_DETECTOR_NETWORK = ("base_filters", "levels")
_INPAINTER_NETWORK = ("base_filters", "levels", "normalization", "start", "full_size")


def shipped_inpainter() -> Inpainter:
    """The data purification network that ships; `pretrained/inpainter.md` is its card.

    Returns:
        What `purification.purify.purify_by` takes: a callable that fills holes of images.
    """
    return read_inpainter(shipped_folder())


def shipped_detector() -> OcclusionDetector:
    """The occlusion detector that ships; `pretrained/occlusion_detector.md` is its card.

    Returns:
        What `purification.purify.purify_by` takes for `find`.
    """
    return read_detector(shipped_folder())


def read_inpainter(folder: Path) -> Inpainter:
    """Read what `write_inpainter` wrote."""
    settings = read_settings(folder, INPAINTER_NAME)
    model = build_inpainter(**{name: settings[name] for name in _INPAINTER_NETWORK})
    read_weights(model, folder, INPAINTER_NAME)
    return Inpainter(model)


def read_detector(folder: Path) -> OcclusionDetector:
    """Read what `write_detector` wrote."""
    settings = read_settings(folder, DETECTOR_NAME)
    model = build_detector(**{name: settings[name] for name in _DETECTOR_NETWORK})
    read_weights(model, folder, DETECTOR_NAME)
    small = settings.get("small_thresholds")
    return OcclusionDetector(model, settings["threshold"], small and tuple(small))


def write_inpainter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write an inpainter's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_inpainter` made of the settings.
        folder: gets `inpainter.npz` and `inpainter.json`.
        settings: the arguments of `build_inpainter`, by name; further values are stored too.
    """
    write_network(model, folder, INPAINTER_NAME, settings)


def write_detector(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write an occlusion detector's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_detector` returns.
        folder: gets `occlusion_detector.npz` and `occlusion_detector.json`.
        settings: the arguments of `build_detector`, `threshold`, and where there are any
            `small_thresholds`, see `OcclusionDetector`; further values are stored too.
    """
    write_network(model, folder, DETECTOR_NAME, settings)
