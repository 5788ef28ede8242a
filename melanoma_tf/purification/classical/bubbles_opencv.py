"""Find bubbles with OpenCV and NumPy, see `bubbles`."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.purification.classical import planes
from melanoma_tf.purification.classical.bubbles import Rims, rims_of
from melanoma_tf.purification.classical.settings import BubbleSettings

Pixels = npt.NDArray[np.uint8]
_SQUARE = np.ones((3, 3), np.uint8)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def find_discs(
    saturated: list[Pixels], thresholds: Pixels, bright: Pixels, settings: BubbleSettings
) -> Pixels:
    """The discs of bubbles, with their rims.

    Args:
        saturated: saturated contrast of dark bars at half the working size, uint8
            `(height, width)`, one for each direction across a bar.
        thresholds: least contrast of a rim, uint8 of the same shape.
        bright: 255 where the image is brighter than bare skin, else 0; likewise.
        settings: see `BubbleSettings`.

    Returns:
        uint8 of the same shape, 255 or 0.
    """
    rims, discs = rims_of(settings), np.zeros_like(bright)
    if not cv2.countNonZero(bright):
        return discs
    margin = rims.radii[0]
    hits = [cv2.dilate(cv2.compare(each, thresholds, cv2.CMP_GT), _SQUARE) for each in saturated]
    framed = [np.pad(each, margin) for each in hits]
    for index, grows_at_corners in enumerate(rims.growth):
        if index < len(rims.radii):
            cv2.max(discs, _centres(framed, bright, rims, index), dst=discs)
        discs = cv2.dilate(discs, _SQUARE if grows_at_corners else _CROSS)
    return discs


def _centres(framed: list[Pixels], bright: Pixels, rims: Rims, index: int) -> Pixels:
    """Centres of whole circles of one radius that have a highlight, 255."""
    margin, whole = rims.radii[0], np.full_like(bright, 255)
    for (row, column), direction in zip(rims.points[index].tolist(), rims.directions):
        cv2.min(whole, planes.window(framed[direction], margin, (row, column)), dst=whole)
    if not cv2.countNonZero(whole):
        return whole
    side = 2 * rims.highlights[index] + 1
    return cv2.min(whole, cv2.dilate(bright, np.ones((side, side), np.uint8)))
