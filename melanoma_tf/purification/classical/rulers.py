"""Rows of ticks at equal distances: the geometry that both implementations share.

A tick of a ruler may be as fine and pale as a furrow of the skin; five of them in a row, parallel,
at equal distances and with nothing halfway between them, are a ruler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from melanoma_tf.purification.classical.lines import line_kernel
from melanoma_tf.purification.classical.settings import RulerSettings

# Ticks of a row, counted from the one in question, and the places halfway between them.
_TICKS = (-4, -3, -2, -1, 1, 2, 3, 4)
_GAPS = (-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5)
_RUN = 5
# Distance to the parallel lines that a tick is compared with, on the half-size grid.
_RIVAL_PX = 4
# By how much a row may slip along its ticks, on the half-size grid.
_SLIP_PX = 2


@dataclass(frozen=True)
class Rows:
    """Where the ticks of a row may be, on the half-size grid; offsets are (rows, columns).

    Attributes:
        kernels: weights of half a tick for each direction.
        rivals: offsets to the parallel line, int `(directions, 2)`.
        halves: offsets from a tick's centre to that of its half, likewise.
        slips: offsets along the tick, likewise.
        ticks: offsets of other ticks, int `(directions, spacings, 8, 2)`.
        gaps: offsets of the places halfway between ticks, likewise.
        run_ticks: which ticks belong to each run of five, float32 `(8, runs)`, 0 or 1.
        run_gaps: which gaps, likewise.
        reach: largest offset.
    """

    kernels: tuple[npt.NDArray[np.float32], ...]
    rivals: npt.NDArray[np.int32]
    halves: npt.NDArray[np.int32]
    slips: npt.NDArray[np.int32]
    ticks: npt.NDArray[np.int32]
    gaps: npt.NDArray[np.int32]
    run_ticks: npt.NDArray[np.float32]
    run_gaps: npt.NDArray[np.float32]
    reach: int


@lru_cache(maxsize=8)
def rows_of(settings: RulerSettings) -> Rows:
    """The rows that are searched for."""
    angles = np.arange(settings.directions) * math.pi / settings.directions
    along = np.stack([np.sin(angles), np.cos(angles)], -1)
    across = np.stack([np.cos(angles), -np.sin(angles)], -1)
    length = settings.tick_length_px / 2
    least, most = (round(spacing / 2) for spacing in settings.spacings_px)
    spacings = np.arange(least, most + 1)

    def places(steps: tuple[float, ...]) -> npt.NDArray[np.int32]:
        distances = spacings[:, None] * np.array(steps)
        return _whole(across[:, None, None] * distances[..., None])

    ticks = places(_TICKS)
    starts = range(1 - _RUN, 1)
    return Rows(
        kernels=tuple(line_kernel(length / 2, angle) for angle in angles),
        rivals=_whole(_RIVAL_PX * across),
        halves=_whole(length / 4 * along),
        slips=_whole(_SLIP_PX * along),
        ticks=ticks,
        gaps=places(_GAPS),
        run_ticks=_runs(_TICKS, [range(start, start + _RUN) for start in starts]),
        run_gaps=_runs(_GAPS, [np.arange(start, start + _RUN - 1) + 0.5 for start in starts]),
        reach=int(np.abs(ticks).max()),
    )


def _whole(offsets: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(offsets).astype(np.int32)


def _runs(places: tuple[float, ...], runs: list) -> npt.NDArray[np.float32]:
    return np.array([[place in run for run in runs] for place in places], np.float32)
