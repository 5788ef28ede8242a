"""The data purification network ready for use, wherever images are purified."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from melanoma_tf import training
from melanoma_tf.errors import MelanomaError
from melanoma_tf.images.occlusion import purify, purify_by
from melanoma_tf.images.occlusion_settings import METHODS, NETWORK
from melanoma_tf.models.hole_filler import HoleFiller
from melanoma_tf.recipes.inpainter import KIND
from melanoma_tf.weights import load_inpainter

# (images, lesion masks or None) -> (purified images, occlusion masks), see `images.occlusion`
GraphPurifier = Callable[..., "tuple[tf.Tensor, tf.Tensor]"]


def load_filler(run_dir: Path | None = None) -> HoleFiller:
    """The inpainter of a finished run, or the one that ships with the package.

    Args:
        run_dir: a finished run; None takes the shipped network.

    Raises:
        MelanomaError: there is no such run, it has not finished, trains something else, or its
            model cannot be read.
    """
    if run_dir is None:
        return load_inpainter()
    training.read_config(run_dir, KIND)
    try:
        model = training.load_model(run_dir)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        path = Path(run_dir) / training.MODEL
        raise MelanomaError(
            f"{path}: expected the model of a finished run; it cannot be read: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    return HoleFiller(model)


def graph_purifier(method: str, run_dir: Path | None = None) -> GraphPurifier:
    """Purification by any method as a graph op: eagerly, in `tf.data.map`, in exported models.

    Args:
        method: out of `images.occlusion_settings.METHODS`, or `network`.
        run_dir: a finished inpainter run, for `network`; None takes the shipped network.

    Returns:
        A function of images and lesion masks (or None) as `images.occlusion.purify` takes and
        returns them.

    Raises:
        MelanomaError: no such method, or as `load_filler`.
    """
    if method not in (*METHODS, NETWORK):
        raise MelanomaError(
            f"expected a method out of {', '.join((*METHODS, NETWORK))}; found {method!r}"
        )
    if method != NETWORK and run_dir is not None:
        raise MelanomaError(f"expected --run-dir with the method {NETWORK} only; found {method}")
    filler = load_filler(run_dir) if method == NETWORK else None

    def apply(
        images: tf.Tensor, lesion_masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if filler is not None:
            return purify_by(filler, images, lesion_masks)
        return purify(images, lesion_masks, method=method)

    return apply
