"""Find the ticks of rulers with OpenCV and NumPy, see `rulers`."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.purification.classical import planes
from melanoma_tf.purification.classical.rulers import Rows, rows_of
from melanoma_tf.purification.classical.settings import RulerSettings

Pixels = npt.NDArray[np.uint8]
_BOX = np.ones((3, 3), np.uint8)


def find_ticks(saturated: Pixels, thresholds: Pixels, settings: RulerSettings) -> Pixels:
    """Centres of the ticks that stand in rows.

    Args:
        saturated: saturated contrast of dark bars at half the working size, uint8.
        thresholds: least contrast of a tick, uint8 of the same shape.
        settings: see `RulerSettings`.

    Returns:
        uint8 of the same shape, 255 or 0.
    """
    rows = rows_of(settings)
    strengths = np.stack([_strength(saturated, rows, index) for index in range(len(rows.kernels))])
    strongest = strengths.max(0)
    hits = (strengths > thresholds) & (strengths >= settings.fraction_of_strongest * strongest)
    found = np.zeros(saturated.shape, np.uint8)
    places = np.nonzero(hits)
    if not len(places[0]):
        return found
    margin = rows.reach
    wide = np.stack([_widened(plane, rows, i) for i, plane in enumerate(hits.astype(np.uint8))])
    near = np.stack([cv2.dilate(plane, _BOX) for plane in hits.astype(np.uint8)])
    ticks = _values_at(wide, places, rows.ticks, margin) @ rows.run_ticks
    gaps = _values_at(near, places, rows.gaps, margin) @ rows.run_gaps
    in_row = ((ticks > rows.run_ticks.sum(0) - 0.5) & (gaps < settings.most_between + 0.5)).any(
        (1, 2)
    )
    found[places[1][in_row], places[2][in_row]] = 255
    return found


def _strength(plane: Pixels, rows: Rows, index: int) -> Pixels:
    """By how much the weaker half of a short line stands out from the parallel lines."""
    rival, half = _move(rows.rivals[index]), _move(rows.halves[index])
    taken_rival, taken_half = (max(map(abs, move)) for move in (rival, half))
    mean = cv2.filter2D(plane, -1, rows.kernels[index], borderType=cv2.BORDER_REPLICATE)
    mean = planes.padded(mean, taken_rival + taken_half)
    one, other = planes.both(mean, taken_rival, rival)
    beside = cv2.addWeighted(one, 0.5, other, 0.5, 0)
    contrast = cv2.subtract(planes.window(mean, taken_rival, (0, 0)), beside)
    return cv2.min(*planes.both(contrast, taken_half, half))


def _move(offset: npt.NDArray[np.int32]) -> tuple[int, int]:
    return int(offset[0]), int(offset[1])


def _widened(hits: Pixels, rows: Rows, index: int) -> Pixels:
    """Hits, widened as far as a tick of a row may be off its place."""
    wide = cv2.dilate(hits, _BOX)
    slip = _move(rows.slips[index])
    margin = max(map(abs, slip))
    framed = np.pad(wide, margin)
    return cv2.max(wide, cv2.max(*planes.both(framed, margin, slip)))


def _values_at(
    planes: Pixels, places: tuple[npt.NDArray[np.intp], ...], offsets: npt.NDArray, margin: int
) -> npt.NDArray[np.float32]:
    """Values of planes around places: float32 `(places, spacings, offsets)`; 0 outside."""
    framed = np.pad(planes, ((0, 0), (margin, margin), (margin, margin)))
    width = framed.shape[2]
    direction, row, column = places
    own = (direction * framed.shape[1] + row + margin) * width + column + margin
    moves = (offsets[..., 0] * width + offsets[..., 1])[direction]
    return framed.reshape(-1)[own[:, None, None] + moves].astype(np.float32)
