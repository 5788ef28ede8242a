"""The methods that `purification.py` compares: a name, and a function on one image.

One more method is one more line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

# (uint8 RGB image, bool lesion mask) -> (uint8 RGB image, bool occlusion mask)
Method = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def nothing(image: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What doing nothing scores: the floor of every column."""
    return image, np.zeros(image.shape[:2], bool)


def opencv_recipe(image: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The recipe that public notebooks use: black-hat, fixed threshold, inpainting by Telea."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (17, 17))
    black_hat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, cross)
    mask = (black_hat > 10).astype(np.uint8)
    return cv2.inpaint(image, mask, 1, cv2.INPAINT_TELEA), mask > 0


def opencv_twin(image: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from melanoma_tf.purification.classical.opencv import purify_image

    purified, mask = purify_image(image)
    return purified, mask > 0


def graph(method: str, with_lesion: bool, **options: str) -> Method:
    """A method as a graph op, one traced function for images of every size."""
    import tensorflow as tf

    from melanoma_tf.purification.networks import GraphPurifier

    purify = GraphPurifier(method, **options)

    colour, grey = (tf.TensorSpec([None, None, n], tf.uint8) for n in (3, 1))

    @tf.function(input_signature=[colour, grey])
    def traced(image, lesion):
        return purify(image, lesion if with_lesion else None)

    def run(image: np.ndarray, lesion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        purified, mask = traced(image, lesion[..., None].astype(np.uint8))
        return purified.numpy(), mask.numpy()[..., 0] > 0

    return run


METHODS: dict[str, Callable[[], Method]] = {
    "nothing": lambda: nothing,
    "bisla2019, lesion mask": lambda: graph("bisla2019", with_lesion=True),
    "OpenCV recipe": lambda: opencv_recipe,
    "classical, graph": lambda: graph("classical", with_lesion=False),
    "classical, graph, lesion mask": lambda: graph("classical", with_lesion=True),
    "classical, OpenCV": lambda: opencv_twin,
    "network, classical detector": lambda: graph("network", with_lesion=True, detector="classical"),
    "network": lambda: graph("network", with_lesion=False),
}


def methods(names: Iterable[str] = METHODS) -> dict[str, Method]:
    """Methods by name, in the order of the table; the default is all."""
    return {name: METHODS[name]() for name in names}
