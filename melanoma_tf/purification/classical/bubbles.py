"""Round rims of bubbles: the geometry that both implementations share.

A bubble in the gel has a thin dark rim that is a whole circle, and it mirrors the lamps: a point of
its disc is brighter than the skin is anywhere. A rim is searched at points of circles, at each of
them as a dark bar that runs along the circle. Threads of hair or pigment go round a circle too,
now and then, but next to none of their circles is whole and has a highlight in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from melanoma_tf.purification.classical.settings import BubbleSettings

_POINTS = 16
# The highlight is searched in a square around the centre, whose half side is this part of a radius.
_HIGHLIGHT = 0.7
# A disc grows by a square at every third step, else by a cross: octagons of 0.94 to 1.05 radii.
_SQUARE_EVERY = 3


@dataclass(frozen=True)
class Rims:
    """The circles that are searched, on the half-size grid, the largest first.

    Attributes:
        radii: in pixels, each by one less than the one before it.
        points: offsets (rows, columns) of the points of each circle, int `(radii, points, 2)`.
        directions: for each point, the number of the direction, of four, that crosses the rim
            there: 0 along a row, 2 along a column, 1 and 3 along a diagonal.
        highlights: half sides of the squares that hold the highlight.
        growth: for each step in which a disc grows by one pixel, whether it grows at its corners
            too. Each circle's disc grows from the circle's own step to the last one, by its radius.
    """

    radii: tuple[int, ...]
    points: npt.NDArray[np.int32]
    directions: tuple[int, ...]
    highlights: tuple[int, ...]
    growth: tuple[bool, ...]


@lru_cache(maxsize=8)
def rims_of(settings: BubbleSettings) -> Rims:
    """The circles that are searched for."""
    least, most = (round(radius / 2) for radius in settings.radii_px)
    radii = np.arange(most, least - 1, -1)
    angles = np.arange(_POINTS) * 2 * math.pi / _POINTS
    across = np.stack([np.sin(angles), np.cos(angles)], -1)
    return Rims(
        radii=tuple(radii.tolist()),
        points=np.rint(radii[:, None, None] * across).astype(np.int32),
        directions=tuple(round(4 * angle / math.pi) % 4 for angle in angles),
        highlights=tuple(int(_HIGHLIGHT * radius) + 1 for radius in radii),
        growth=tuple(step % _SQUARE_EVERY == 1 for step in range(most)),
    )
