"""Windows, halves and block means of planes of 8 bits, as the OpenCV implementation uses them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def padded(plane: Pixels, margin_px: int) -> Pixels:
    """Repeat the outermost pixels beyond the border."""
    m = margin_px
    return cv2.copyMakeBorder(plane, m, m, m, m, cv2.BORDER_REPLICATE)


def window(padded: Pixels, margin_px: int, offset: tuple[int, int]) -> Pixels:
    """Cut a margin off a padded plane, moved by an offset of rows and columns."""
    rows, columns = (slice(margin_px + move, (move - margin_px) or None) for move in offset)
    return padded[rows, columns]


def both(plane: Pixels, taken: int, move: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Values at a move to the one side, and to the other; a margin is removed."""
    rows, columns = move
    return window(plane, taken, move), window(plane, taken, (-rows, -columns))


def halved(plane: Pixels) -> Pixels:
    """Average blocks of 2x2 pixels; an odd side counts its last pixels twice."""
    height, width = plane.shape[:2]
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    halved = (plane.shape[1] // 2, plane.shape[0] // 2)
    return cv2.resize(plane, halved, interpolation=cv2.INTER_AREA)


def doubled(mask: Pixels, height: int, width: int) -> Pixels:
    """Repeat each pixel of a mask, and cut it to a size."""
    size = (mask.shape[1] * 2, mask.shape[0] * 2)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)[:height, :width]


def block_means(plane: Pixels) -> Pixels:
    """Means of whole blocks of 8x8 pixels."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    whole = plane[: 8 * rows, : 8 * columns]
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
