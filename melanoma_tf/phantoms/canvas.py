"""Drawing of noise, discs and strokes in resolution-independent coordinates.

Scene coordinates have their origin at the picture's centre, x to the right and y down, and the
short side has length 1, so that one seed gives one scene at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""A value per pixel, (height, width) float32."""

# OpenCV draws with sub-pixel precision in fixed-point coordinates of this many fraction bits.
_FRACTION_BITS = 4


@dataclass(frozen=True)
class Canvas:
    """The size of a picture, and the drawing of fields of that size.

    Attributes:
        height: rows, in pixels.
        width: columns, in pixels.
    """

    height: int
    width: int

    @property
    def unit(self) -> int:
        """Pixels per unit of length: the short side."""
        return min(self.height, self.width)

    @property
    def half(self) -> tuple[float, float]:
        """Scene coordinates (x, y) of the lower right corner."""
        return self.width / (2 * self.unit), self.height / (2 * self.unit)

    def coordinates(self) -> tuple[Field, Field]:
        """Compute the x and y of every pixel's centre, each (height, width)."""
        x = (np.arange(self.width, dtype=np.float32) + 0.5) / self.unit - self.half[0]
        y = (np.arange(self.height, dtype=np.float32) + 0.5) / self.unit - self.half[1]
        return (
            np.ascontiguousarray(np.broadcast_to(x[None, :], (self.height, self.width))),
            np.ascontiguousarray(np.broadcast_to(y[:, None], (self.height, self.width))),
        )

    def zeros(self) -> Field:
        """Make a field of zeros."""
        return np.zeros((self.height, self.width), np.float32)

    def noise(self, rng: np.random.Generator, cells: float, octaves: int = 1) -> Field:
        """Draw smooth noise around 0, nearly always within [-1, 1].

        Args:
            rng: source of chance; the number of draws depends on the aspect ratio, not on the size.
            cells: independent values per unit of length; doubled in each further octave.
            octaves: 1 or more; each has half the amplitude of the previous one.
        """
        total: Field | None = None
        for octave in range(octaves):
            density = cells * 2**octave
            columns, rows = (max(2, round(density * 2 * half)) for half in self.half)
            grid = rng.random((rows, columns), dtype=np.float32)
            grid -= 0.5
            grid *= 2 / 2**octave
            # Octaves are added on the finer grid, which is far cheaper than at the picture's size.
            total = grid if total is None else _resize(total, columns, rows) + grid
        assert total is not None
        return _resize(total, self.width, self.height)

    def blur(self, field: Field, sigma: float) -> Field:
        """Blur a field with a Gaussian; wide ones are computed at a lower resolution.

        Args:
            field: the field.
            sigma: standard deviation in scene units.
        """
        pixels = sigma * self.unit
        shrink = max(1, int(pixels / 2))
        if shrink == 1:
            return _float(cv2.GaussianBlur(field, (0, 0), max(pixels, 0.3)))
        size = (max(2, self.width // shrink), max(2, self.height // shrink))
        small = cv2.resize(field, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), pixels / shrink)
        return _float(cv2.resize(small, (self.width, self.height), interpolation=cv2.INTER_LINEAR))

    def discs(
        self, centres: npt.ArrayLike, radii: npt.ArrayLike, values: npt.ArrayLike | None = None
    ) -> Field:
        """Draw filled anti-aliased discs, later ones on top.

        Args:
            centres: (n, 2) scene coordinates.
            radii: (n,) in scene units; discs below half a pixel become fainter instead.
            values: (n,) within [0, 1]; 1 by default.

        Returns:
            A field within [0, 1].
        """
        radii = np.asarray(radii, np.float64) * self.unit
        strength = np.ones(len(radii)) if values is None else np.asarray(values, np.float64)
        strength = np.clip(strength * np.minimum(1, (radii / 0.6) ** 2), 0, 1) * 255
        layer = np.zeros((self.height, self.width), np.uint8)
        for centre, radius, value in zip(
            self._fixed_point(np.asarray(centres)), _scaled(np.maximum(radii, 0.5)), strength
        ):
            cv2.circle(
                layer, centre.tolist(), int(radius), float(value), -1, cv2.LINE_AA, _FRACTION_BITS
            )
        return layer * np.float32(1 / 255)

    def strokes(
        self,
        curves: npt.NDArray[np.float64],
        widths: npt.NDArray[np.float64],
        values: npt.NDArray[np.float64] | None = None,
    ) -> Field:
        """Draw anti-aliased strokes of varying width, later ones on top.

        Args:
            curves: (n, points, 2) scene coordinates.
            widths: (n, points) in scene units; strokes below a pixel become fainter instead.
            values: (n,) within [0, 1]; 1 by default.

        Returns:
            A field within [0, 1].
        """
        layer = np.zeros((self.height, self.width), np.uint8)
        if len(curves) == 0:
            return layer.astype(np.float32)
        along = np.gradient(curves, axis=1)
        length = np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-9)
        normal = np.stack([-along[..., 1], along[..., 0]], axis=2) / length
        # An anti-aliased outline covers about half a pixel more than its polygon on each side.
        offset = normal * np.maximum(widths / 2 - 0.5 / self.unit, 0)[..., None]
        polygons = np.concatenate([curves + offset, (curves - offset)[:, ::-1]], axis=1)
        strength = np.minimum(1, widths.max(axis=1) * self.unit / 1.2)
        strength = np.clip(strength * (1 if values is None else values), 0, 1) * 255
        for polygon, value in zip(self._fixed_point(polygons), strength):
            cv2.fillPoly(layer, [polygon], float(value), cv2.LINE_AA, _FRACTION_BITS)
        return layer * np.float32(1 / 255)

    def to_pixels(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Convert scene coordinates (..., 2) to OpenCV's, where pixel centres are whole numbers."""
        pixels: npt.NDArray[np.float64] = (points + np.array(self.half)) * self.unit - 0.5
        return pixels

    def to_scene(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Invert `to_pixels`."""
        points: npt.NDArray[np.float64] = (pixels + 0.5) / self.unit - np.array(self.half)
        return points

    def _fixed_point(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        return _scaled(self.to_pixels(points))


def bezier(control: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.float64]:
    """Compute cubic Bezier curves.

    Args:
        control: (n, 4, 2) control points.
        points: number of points per curve.

    Returns:
        (n, points, 2).
    """
    t = np.linspace(0, 1, points)[:, None]
    basis = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    curves: npt.NDArray[np.float64] = basis @ control
    return curves


def smooth_step(field: Field, start: float | Field, end: float | Field) -> Field:
    """Interpolate smoothly from 0 at `start` to 1 at `end`; `start` may exceed `end`."""
    t = np.asarray(field - start, np.float32)
    t *= np.float32(1) / np.asarray(end - start, np.float32)
    np.clip(t, 0, 1, out=t)
    return _float(t * t * (3 - 2 * t))


def _resize(field: Field, width: int, height: int) -> Field:
    # A grid that is finer than the pixels is averaged to avoid aliasing.
    method = cv2.INTER_AREA if field.shape[1] > width else cv2.INTER_CUBIC
    return _float(cv2.resize(field, (width, height), interpolation=method))


def _float(field: npt.NDArray[np.float32]) -> Field:
    return np.asarray(field, np.float32)


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.round(values * 2**_FRACTION_BITS).astype(np.int32)
