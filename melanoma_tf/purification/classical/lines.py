"""The lines that the classical purification lays over an image.

Both implementations, the TensorFlow graph and OpenCV, read this file, so that they cannot drift
apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from melanoma_tf.purification.classical.settings import OcclusionSettings


@dataclass(frozen=True)
class Direction:
    """One direction in which lines are laid, on the half-size grid; offsets are (rows, columns).

    Attributes:
        kernel: weights of half a line, float32, odd sides, summing to 1.
        rival: offset to the parallel line.
        halves: offset from a line's centre to that of its half.
        steps: offsets that, applied one after the other to both sides, prolong a line.
    """

    kernel: npt.NDArray[np.float32]
    rival: tuple[int, int]
    halves: tuple[int, int]
    steps: tuple[tuple[int, int], ...]

    def margins(self) -> tuple[int, ...]:
        """Pixels that each move removes from every side: rival, halves, then each step."""
        return tuple(max(map(abs, move)) for move in (self.rival, self.halves, *self.steps))


@lru_cache(maxsize=32)
def directions(settings: OcclusionSettings, which: int) -> tuple[Direction, ...]:
    """The directions for the long (0) or the short (1) lines."""
    count, length = settings.directions[which], settings.line_lengths_px[which] / 2
    return tuple(_direction(math.pi * index / count, settings, length) for index in range(count))


def margin(lines: tuple[Direction, ...]) -> int:
    """Pixels that the image is padded with on every side, so that every direction's moves fit."""
    return sum(max(taken) for taken in zip(*(line.margins() for line in lines)))


def _direction(angle: float, settings: OcclusionSettings, length: float) -> Direction:
    row, column = math.sin(angle), math.cos(angle)

    def offset(along: float, across: float) -> tuple[int, int]:
        return (
            round(along * row + across * column),
            round(along * column - across * row),
        )

    return Direction(
        kernel=line_kernel(length / 2, angle),
        rival=offset(0.0, settings.rival_distance_px / 2),
        halves=offset(length / 4, 0.0),
        steps=tuple(offset(step, 0.0) for step in _steps(settings.reach * length)),
    )


def _steps(reach: float) -> list[int]:
    """Steps 3, 9, ... whose sums lie close enough together for runs of three pixels to join."""
    steps: list[int] = []
    covered = 1
    while covered < round(reach):
        step = min(2 * covered + 1, round(reach) - covered)
        steps.append(step)
        covered += step
    return steps


def line_kernel(length: float, angle: float) -> npt.NDArray[np.float32]:
    """An antialiased line through the centre, one pixel wide.

    Args:
        length: in pixels.
        angle: from the column axis towards the row axis, in radians.

    Returns:
        float32, odd sides, cut to the line's extent; the sum is 1.
    """
    radius = math.ceil(length / 2) + 1
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = rows * math.cos(angle) - columns * math.sin(angle)
    weights = np.clip(length / 2 + 0.5 - abs(along), 0, 1) * np.clip(1 - abs(across), 0, 1)
    # A weight this small would widen the kernel and change nothing.
    weights[weights < 0.02] = 0
    used_rows, used_columns = np.nonzero(weights)
    height, width = abs(used_rows - radius).max(), abs(used_columns - radius).max()
    cut = weights[radius - height : radius + height + 1, radius - width : radius + width + 1]
    return (cut / cut.sum()).astype(np.float32)
