"""The data purification network ready for use, wherever images are purified."""

from __future__ import annotations

import zipfile
from pathlib import Path

import tensorflow as tf
from tensorflow import keras

from melanoma_tf import training
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.classical.settings import METHODS, NETWORK
from melanoma_tf.purification.detector.inference import OcclusionDetector
from melanoma_tf.purification.inpainter.inference import Inpainter
from melanoma_tf.purification.purify import Networks, purify, purify_by
from melanoma_tf.purification.shipped import load_detector, load_inpainter

KIND, DETECTOR_KIND = "inpainter", "occlusion-detector"
SHIPPED, CLASSICAL = "shipped", "classical"


def load_inpainting(run_dir: Path | None = None) -> Inpainter:
    """The inpainter of a finished run, or the one that ships with the package.

    Args:
        run_dir: a finished run; None takes the shipped network.

    Raises:
        MelanomaError: there is no such run, it has not finished, trains something else, or its
            model cannot be read.
    """
    return load_inpainter() if run_dir is None else Inpainter(_run_model(run_dir, KIND))


def load_occlusion_detector(detector: str = SHIPPED) -> OcclusionDetector | None:
    """The occlusion detector of a finished run, or the one that ships with the package.

    Args:
        detector: a finished run, `shipped`, or `classical` for none: what lies over the skin is
            then left to the classical detector.

    Raises:
        MelanomaError: as `load_inpainting`.
    """
    if detector == CLASSICAL:
        return None
    if detector == SHIPPED:
        return load_detector()
    if not Path(detector).is_dir():
        raise MelanomaError(
            f"expected a detector out of {SHIPPED}, {CLASSICAL}, or a finished run; "
            f"found {detector}"
        )
    return OcclusionDetector(_run_model(Path(detector), DETECTOR_KIND))


def load_networks(run_dir: Path | None = None, detector: str = SHIPPED) -> Networks:
    """Both networks of the purification, see `load_inpainting` and `load_occlusion_detector`."""
    return Networks(load_inpainting(run_dir), load_occlusion_detector(detector))


def _run_model(run_dir: Path, kind: str) -> keras.Model:
    training.read_config(run_dir, kind)
    try:
        return training.load_model(run_dir)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        path = Path(run_dir) / training.MODEL
        raise MelanomaError(
            f"{path}: expected the model of a finished run; it cannot be read: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


class GraphPurifier(tf.Module):
    """Purification by any method as a graph op: eagerly, in `tf.data.map`, in exported models.

    Args:
        method: out of `purification.classical.settings.METHODS`, or `network`.
        run_dir: a finished inpainter run, for `network`; None takes the shipped network.
        detector: what finds occlusions for `network`, see `load_occlusion_detector`.

    Raises:
        MelanomaError: no such method, or as `load_inpainting`.
    """

    def __init__(self, method: str, run_dir: Path | None = None, detector: str = SHIPPED):
        super().__init__(name="purifier")
        if method not in (*METHODS, NETWORK):
            raise MelanomaError(
                f"expected a method out of {', '.join((*METHODS, NETWORK))}; found {method!r}"
            )
        if method != NETWORK and run_dir is not None:
            raise MelanomaError(
                f"expected --run-dir with the method {NETWORK} only; found {method}"
            )
        self.method = method
        # Held here, so that whatever exports this finds the network's weights.
        self.filler = load_inpainting(run_dir) if method == NETWORK else None
        self.segmenter = load_occlusion_detector(detector) if method == NETWORK else None

    def __call__(
        self, images: tf.Tensor, lesion_masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Purified images and occlusion masks, see `purification.purify.purify` and `purify_by`."""
        if self.filler is not None:
            return purify_by(self.filler, images, lesion_masks, find=self.segmenter)
        return purify(images, lesion_masks, method=self.method)
