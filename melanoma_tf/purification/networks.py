"""The networks of purification, loaded by name, and purification as a graph op that holds them."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.classical.settings import METHODS, NETWORK
from melanoma_tf.purification.detector.inference import DETECTOR, OcclusionDetector
from melanoma_tf.purification.inpainter.inference import INPAINTER, Inpainter
from melanoma_tf.purification.purify import Networks, purify, purify_by
from melanoma_tf.purification.settings import CLASSICAL, SHIPPED
from melanoma_tf.purification.shipped import shipped_detector, shipped_inpainter
from melanoma_tf.training.run import load_model


def load_inpainter(network: str | Path = SHIPPED) -> Inpainter:
    """A trained inpainter.

    Args:
        network: `shipped`, or the folder of a finished run.

    Raises:
        MelanomaError: there is no such run, it has not finished, trains something else, or its
            model cannot be read.
    """
    if network == SHIPPED:
        return shipped_inpainter()
    return Inpainter(load_model(Path(network), INPAINTER))


def load_detector(network: str | Path = SHIPPED) -> OcclusionDetector | None:
    """A trained occlusion detector.

    Args:
        network: `shipped`, the folder of a finished run, or `classical` for None: the classical
            detector then finds the occlusions.

    Raises:
        MelanomaError: as `load_inpainter`.
    """
    if network == CLASSICAL:
        return None
    if network == SHIPPED:
        return shipped_detector()
    if not Path(network).is_dir():
        raise MelanomaError(
            f"expected a detector out of {SHIPPED}, {CLASSICAL}, or a finished run; found {network}"
        )
    return OcclusionDetector(load_model(Path(network), DETECTOR))


def load_networks(inpainter: str | Path = SHIPPED, detector: str | Path = SHIPPED) -> Networks:
    """Both networks of purification, see `load_inpainter` and `load_detector`."""
    return Networks(load_inpainter(inpainter), load_detector(detector))


class GraphPurifier(tf.Module):
    """Purification by any method as a graph op: eagerly, in `tf.data.map`, in exported models.

    Args:
        method: out of `purification.classical.settings.METHODS`, or `network`.
        inpainter, detector: the networks of the method `network`, see `load_networks`.

    Raises:
        MelanomaError: no such method, networks with another method, or as `load_inpainter`.
    """

    def __init__(
        self, method: str, inpainter: str | Path = SHIPPED, detector: str | Path = SHIPPED
    ):
        super().__init__(name="purifier")
        if method not in (*METHODS, NETWORK):
            raise MelanomaError(
                f"expected a method out of {', '.join((*METHODS, NETWORK))}; found {method!r}"
            )
        if method != NETWORK and (inpainter, detector) != (SHIPPED, SHIPPED):
            raise MelanomaError(f"expected networks with the method {NETWORK} only; found {method}")
        self.method = method
        # Attributes, so that an export finds the weights of the networks.
        self.inpainter = load_inpainter(inpainter) if method == NETWORK else None
        self.detector = load_detector(detector) if method == NETWORK else None

    def __call__(
        self, images: tf.Tensor, lesion_masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Purified images and occlusion masks, see `purification.purify.purify` and `purify_by`."""
        if self.inpainter is not None:
            return purify_by(self.inpainter, images, lesion_masks, find=self.detector)
        return purify(images, lesion_masks, method=self.method)
