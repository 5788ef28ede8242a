"""What the classical purification looks for: its thresholds, and the lines it lays over an image.

Both executions, the TensorFlow graph and OpenCV, read this file, so that they cannot drift apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

METHODS = ("classical", "bisla2019")
# Occlusions are found as by `classical`, and filled by a network.
NETWORK = "network"
# Lengths below are in pixels of an image whose long side has this many. Images of every size are
# brought to it before anything is looked for, so that no setting depends on the image's size.
WORKING_SIZE_PX = 512
# The other side has at least this many pixels, so that the longest line still fits.
LEAST_SIDE_PX = 32


@dataclass(frozen=True)
class StrokeSettings:
    """When something thin counts as a hair, a tick or a rim.

    Attributes:
        saturation: contrast at which a pixel counts half; larger contrasts add ever less, so that
            one black dot does not look like a line. Per length of line.
        line_threshold: how much darker (brighter) than its surroundings a line has to be on
            average, of 1. Per length of line; a length whose threshold is 1 is left out.
        faintest: least contrast of a pixel of the mask.
        share_of_peak: least contrast of a pixel of the mask, as a share of the largest nearby.
    """

    saturation: tuple[float, float]
    line_threshold: tuple[float, float]
    faintest: float
    share_of_peak: float


@dataclass(frozen=True)
class OcclusionSettings:
    """The thresholds of the classical purification.

    Densities are optical: -log(value + `density_floor`) of a colour value in [0, 1]. Melanin and
    blood hardly absorb red light; hair, ink and print do. Hence the weights.

    Attributes:
        density_floor: keeps the noise of nearly black pixels small.
        channel_weights: of the red, green and blue density in which dark strokes are looked for.
        bar_distances_px: how far beside a pixel its brighter neighbours are looked for; beside
            light strokes, the first alone.
        line_lengths_px: of the long and the short line.
        rival_distance_px: how far beside a line the lines run that it is compared with.
        directions: number of directions over half a turn, per length of line.
        reach: by how much of a line's length a line that was found is prolonged to both sides.
        lesion_caution: by how much the line thresholds grow per unit of optical density by which
            the surroundings are denser than bare skin; pigment has lines of its own.
        clutter_caution: by how much they grow per unit of mean (saturated) contrast around: a mesh
            is dense with threads of all directions, a hair has bare skin beside it.
        dark: hairs, ticks, digits; contrast in optical density.
        light: light hairs and rims of bubbles; contrast in colour value.
        mark_size_px: marks (ink, digits) are thinner than this.
        mark_contrast: least contrast of a mark's core in red density.
        mark_edge: least contrast of its edge, as a share of the core's.
        mark_redness: least contrast in red as a share of that in blue; pigment stays below it.
        skin_quantile: share of the image that is assumed to be bare skin, the brightest.
        skin_tolerance: how much denser than that the surroundings of a mark may be.
    """

    density_floor: float = 0.1
    channel_weights: tuple[float, float, float] = (1.0, 0.0, -0.2)
    bar_distances_px: tuple[int, int] = (4, 6)
    line_lengths_px: tuple[float, float] = (42.0, 18.0)
    rival_distance_px: float = 8.0
    directions: tuple[int, int] = (10, 6)
    reach: float = 0.4
    lesion_caution: float = 1.2
    clutter_caution: float = 0.4
    dark: StrokeSettings = StrokeSettings((0.2, 0.35), (0.13, 0.18), 0.06, 0.35)
    light: StrokeSettings = StrokeSettings((0.25, 0.25), (1.0, 0.17), 0.05, 0.40)
    mark_size_px: int = 26
    mark_contrast: float = 0.45
    mark_edge: float = 0.7
    mark_redness: float = 0.9
    skin_quantile: float = 0.05
    skin_tolerance: float = 0.25


@dataclass(frozen=True)
class Direction:
    """One direction in which lines are laid, on the half-size grid; offsets are (rows, columns).

    Attributes:
        kernel: weights of half a line, float32, odd sides, summing to 1.
        rival: offset to the line beside it.
        halves: offset from a line's centre to that of its half.
        steps: offsets that, taken one after the other to both sides, prolong a line.
    """

    kernel: npt.NDArray[np.float32]
    rival: tuple[int, int]
    halves: tuple[int, int]
    steps: tuple[tuple[int, int], ...]

    def margins(self) -> tuple[int, ...]:
        """Pixels that each move takes off every side: rival, halves, then each step."""
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
