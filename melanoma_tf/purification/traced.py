"""The purification by the networks that ship as traced graphs, ready without building them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from melanoma_tf.pretrained import shipped_folder
from melanoma_tf.pretrained.graphs import read_graph, write_graph
from melanoma_tf.purification.settings import SHIPPED

_NETWORKS = ("inpainter", "occlusion_detector")
_PURIFY, _FILL = "purification", "filling"


class TracedPurification(NamedTuple):
    """Both uses of the networks; `purification.purify.purify_by` with the types of one image.

    Attributes:
        purify: from a uint8 image `(height, width, 3)` to the purified image and the mask of what
            was replaced, uint8 `(height, width, 1)`.
        fill: from an image and an occlusion mask `(height, width, 1)` to the same.
    """

    purify: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    fill: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def traced_purification(inpainter: str, detector: str) -> TracedPurification | None:
    """The graphs of a pair of networks, out of those that ship.

    Returns:
        None where a network is not one that ships, or a graph is not that of the networks.
    """
    if (inpainter, detector) != (SHIPPED, SHIPPED):
        return None
    return read_traced(shipped_folder())


def read_traced(folder: Path) -> TracedPurification | None:
    """Read what `write_traced` wrote; None where a network was replaced since."""
    purify, fill = (read_graph(folder, name) for name in (_PURIFY, _FILL))
    return None if purify is None or fill is None else TracedPurification(purify, fill)


def write_traced(folder: Path) -> None:
    """Trace the networks in a folder, and write the graphs next to them."""
    # Imported here: a program that reads the graphs builds no network.
    from melanoma_tf.purification.purify import purify_by
    from melanoma_tf.purification.shipped import read_detector, read_inpainter

    fill_holes, find = read_inpainter(folder), read_detector(folder)

    def purify(image: tf.Tensor) -> Any:
        return purify_by(fill_holes, image, find=find)

    def fill(image: tf.Tensor, mask: tf.Tensor) -> Any:
        return purify_by(fill_holes, image, occlusion_masks=mask)

    image, mask = (tf.TensorSpec([None, None, n], tf.uint8) for n in (3, 1))
    purify_graph = tf.function(purify).get_concrete_function(image)
    write_graph(purify_graph, folder, _PURIFY, _NETWORKS)
    fill_graph = tf.function(fill).get_concrete_function(image, mask)
    write_graph(fill_graph, folder, _FILL, _NETWORKS[:1])
