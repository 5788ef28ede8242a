"""The segmenter that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from melanoma_tf.core.keras import keras
from melanoma_tf.core.settings import field_types
from melanoma_tf.pretrained import read_settings, read_weights, shipped_folder, write_network
from melanoma_tf.pretrained.graphs import read_graph, write_graph
from melanoma_tf.segmentation.lesion_segmenter import LesionSegmenter, TracedSegmenter
from melanoma_tf.segmentation.lite_network import build_lite_segmenter
from melanoma_tf.segmentation.network import build_segmenter
from melanoma_tf.segmentation.settings import NO_ENCODER, InferenceSettings

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
_LITE_NETWORK = ("normalization", "dropout")
_INFERENCE = tuple(field_types(InferenceSettings))


def shipped_segmenter() -> LesionSegmenter:
    """The segmenter that ships; `pretrained/segmenter.md` is its card.

    Returns:
        A callable from RGB `(height, width, 3)` in [0, 255] to the lesion's probability, float32
        `(height, width)`; its `mask` gives uint8, 0 or 255.
    """
    return read_segmenter(shipped_folder())


def traced_segmenter() -> TracedSegmenter | None:
    """The segmenter that ships as a traced graph, ready in a fraction of the time.

    Returns:
        What computes as `shipped_segmenter()` does; None where the network was replaced since.
    """
    return read_traced(shipped_folder())


def read_segmenter(folder: Path) -> LesionSegmenter:
    """Read what `write_segmenter` wrote."""
    settings = read_settings(folder, NAME)
    model = _build(settings)
    read_weights(model, folder, NAME)
    return LesionSegmenter(model, _inference(settings))


def write_traced(folder: Path) -> None:
    """Trace the segmenter in a folder, and write the graph next to it."""
    segmenter = read_segmenter(folder)
    write_graph(segmenter.traced.get_concrete_function(), folder, NAME, [NAME])


def read_traced(folder: Path) -> TracedSegmenter | None:
    """Read what `write_traced` wrote; None where the network was replaced since."""
    graph = read_graph(folder, NAME)
    if graph is None:
        return None
    (shape,) = (tensor.shape for tensor in graph.inputs)
    settings = _inference(read_settings(folder, NAME))
    return TracedSegmenter(lambda squares: graph(squares)[0], shape[1], settings)


def write_segmenter(model: keras.Model, folder: Path, settings: dict[str, Any]) -> None:
    """Write a network's weights as float16 and its settings, as they ship.

    Args:
        model: what `build_segmenter` or `build_lite_segmenter` made of the settings.
        folder: gets `segmenter.npz` and `segmenter.json`.
        settings: the arguments of `build_segmenter` (with `image_size_px` for its input size), or
            of `build_lite_segmenter` (with `encoder`), and of `InferenceSettings`, by name; further
            values are stored too.
    """
    write_network(model, folder, NAME, settings)


def _inference(settings: dict[str, Any]) -> InferenceSettings:
    chosen = {name: settings[name] for name in _INFERENCE}
    return InferenceSettings.from_json(chosen, f"{NAME}.json")


def _build(settings: dict[str, Any]) -> keras.Model:
    size_px = settings["image_size_px"]
    encoder = settings.get("encoder", NO_ENCODER)  # The network that ships was stored without one.
    if encoder == NO_ENCODER:
        return build_segmenter(size_px, **{name: settings[name] for name in _NETWORK})
    return build_lite_segmenter(
        encoder, size_px, **{name: settings[name] for name in _LITE_NETWORK}
    )
