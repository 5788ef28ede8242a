"""The answers of the networks that ship to one drawn image, stored and compared.

A stored answer tells a network that loads and computes from one that only loads: a damaged file, or
a library that computes something else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import read_json, write_json
from melanoma_tf.pretrained import classifier_run, shipped_folder

FILE = "answers.json"
# Of answers in [0, 1]. TensorFlow versions and processors differ by far less.
TOLERANCE = 0.01
_SIZE_PX = 256
_BLOCKS = 4


def answers() -> dict[str, Callable[[], list[float]]]:
    """What computes the answer of each network that ships, by the network's name."""
    return {
        "segmenter": _segmenter,
        "occlusion_detector and inpainter": _purification,
        "classifier": _classifier,
        "efficientnet_lite0": _backbone,
    }


def stored_answers(folder: Path | None = None) -> dict[str, list[float]]:
    """The answers when the networks were shipped, by the network's name.

    Raises:
        MelanomaError: the file is absent or damaged.
    """
    path = (folder or shipped_folder()) / FILE
    found = read_json(path)
    if not isinstance(found, dict) or not all(isinstance(row, list) for row in found.values()):
        raise MelanomaError(f"{path}: expected lists of numbers by network; found other JSON")
    return found


def write_answers(folder: Path) -> None:
    """Store the present answers."""
    computed = {name: [round(one, 4) for one in answer()] for name, answer in answers().items()}
    write_json(folder / FILE, computed)


def largest_difference(name: str, answer: list[float]) -> float:
    """The largest difference of an answer to the stored one.

    Raises:
        MelanomaError: no answer of that network is stored, or one of another length.
    """
    stored = stored_answers().get(name, [])
    if len(stored) != len(answer):
        raise MelanomaError(f"expected {len(stored)} stored numbers of {name}; found {len(answer)}")
    return float(np.abs(np.subtract(answer, stored)).max())


def drawn_image() -> npt.NDArray[np.uint8]:
    """A dark uneven lesion on skin, with two hairs; uint8 RGB `(256, 256, 3)`."""
    rows, columns = np.mgrid[:_SIZE_PX, :_SIZE_PX].astype(np.float64)
    angle = np.arctan2(rows - 128, columns - 118)
    radius = 62 * (1 + 0.15 * np.sin(3 * angle) + 0.08 * np.cos(5 * angle))
    inside = 1 / (1 + np.exp(np.hypot(rows - 128, columns - 118) / 4 - radius / 4))
    mottled = 0.5 + 0.5 * np.sin(rows / 7) * np.cos(columns / 9)
    skin, lesion = np.array([214.0, 170, 148]), np.array([112.0, 66, 50])
    shade = 1 - 0.1 * (rows + columns)[..., np.newaxis] / (2 * _SIZE_PX)
    weight = (inside * (0.7 + 0.3 * mottled))[..., np.newaxis]
    image = (skin * (1 - weight) + lesion * weight) * shade
    for slope, start in ((0.4, 40), (-0.3, 210)):
        image[np.abs(rows - start - slope * columns) < 1.5] = (40, 28, 22)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _block_means(values: npt.NDArray[np.float32]) -> list[float]:
    """Means of 4 x 4 blocks of `(height, width)`, row by row."""
    rows = np.array_split(values.astype(np.float64), _BLOCKS, axis=0)
    return [float(b.mean()) for row in rows for b in np.array_split(row, _BLOCKS, axis=1)]


def _segmenter() -> list[float]:
    from melanoma_tf.segmentation.shipped import shipped_segmenter, traced_segmenter

    segmenter = traced_segmenter() or shipped_segmenter()
    return _block_means(np.asarray(segmenter(drawn_image())))


def _purification() -> list[float]:
    """By both networks, as `purify` uses them."""
    import tensorflow as tf

    from melanoma_tf.core.settings import SHIPPED
    from melanoma_tf.purification.purify import purify_by
    from melanoma_tf.purification.shipped import shipped_detector, shipped_inpainter
    from melanoma_tf.purification.traced import traced_purification

    image = tf.constant(drawn_image())
    traced = traced_purification(SHIPPED, SHIPPED)
    if traced is not None:
        purified, mask = traced.purify(image)
    else:
        purified, mask = purify_by(shipped_inpainter(), image, find=shipped_detector())
    grey = purified.numpy().astype(np.float32).mean(axis=-1) / 255
    return [*_block_means(grey), *_block_means(mask.numpy()[..., 0].astype(np.float32) / 255)]


def _classifier() -> list[float]:
    import tensorflow as tf

    from melanoma_tf.backbones.classifier import load_classifier

    network = load_classifier(classifier_run("shipped"))
    size_px = int(network.input_shape[1])
    image = tf.image.resize(drawn_image()[np.newaxis], [size_px, size_px])
    return [float(one) for one in tf.nn.softmax(network(image, training=False))[0].numpy()]


def _backbone() -> list[float]:
    """Means of 16 groups of its pooled features, which are in [0, 6]."""
    from melanoma_tf.backbones.efficientnet_lite import (
        build_efficientnet_lite,
        imagenet_weights,
        load_weights,
    )

    network = build_efficientnet_lite("lite0", image_size_px=_SIZE_PX)
    load_weights(network, imagenet_weights("lite0"))
    features = network(drawn_image()[np.newaxis].astype(np.float32), training=False)
    pooled = np.asarray(features)[0].mean(axis=(0, 1)) / 6.0
    return [float(group.mean()) for group in np.array_split(pooled, _BLOCKS**2)]
