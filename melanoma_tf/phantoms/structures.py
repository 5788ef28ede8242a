"""Outlines and dermoscopic structures of phantom lesions: network, globules, vessels, fissures.

Terms are those of pattern analysis: Kittler et al., "Standardization of terminology in
dermoscopy/dermatoscopy", J Am Acad Dermatol 74 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.phantoms.canvas import Canvas, Field, bezier, smooth_step

# Lesions keep this far from the frame (scene units), which leaves room for streaks.
_MARGIN = 0.05
_CONTOUR_POINTS = 720


@dataclass(frozen=True)
class Outline:
    """The outline of a lesion.

    Attributes:
        level: positive inside, 0 on the border, about 1 at the centre.
        rho: distance from the centre in units of the lesion's mean radius.
        mask: (height, width) uint8, 0 skin, 255 lesion; one piece without holes.
        contour: (720, 2) scene coordinates along the border.
        centre: scene coordinates (x, y).
        radius: mean radius in scene units.
    """

    level: Field
    rho: Field
    mask: npt.NDArray[np.uint8]
    contour: npt.NDArray[np.float64]
    centre: tuple[float, float]
    radius: float

    def cover(self, softness: float | Field) -> Field:
        """Compute the lesion's coverage of each pixel: 1 inside, 0.5 on the border, 0 outside.

        Args:
            softness: width of the transition in units of the radius.
        """
        half: Any = softness / 2
        return smooth_step(self.level, -half, half)


def draw_outline(
    canvas: Canvas,
    rng: np.random.Generator,
    *,
    radius: tuple[float, float] = (0.2, 0.34),
    irregularity: float,
    roughness: float,
    blobs: int = 1,
    scallops: float = 0.0,
) -> Outline:
    """Draw a lesion's outline.

    Args:
        canvas: the picture.
        rng: source of chance.
        radius: range of the mean radius, in scene units.
        irregularity: relative change of the radius over large parts of the border.
        roughness: the same over small parts, and of holes and notches.
        blobs: overlapping pieces; more than one makes the lesion asymmetric.
        scallops: relative depth of many small waves along the border.
    """
    x, y = canvas.coordinates()
    size = rng.uniform(*radius)
    centre = rng.uniform(-0.07, 0.07, 2)
    level = np.full_like(x, -9)
    for _ in range(blobs):
        share = 1.0 if blobs == 1 else rng.uniform(0.55, 0.8)
        angle = rng.uniform(0, 2 * np.pi)
        offset = 0.0 if blobs == 1 else size * (1 - share) * 1.25
        middle = centre + offset * np.array([np.cos(angle), np.sin(angle)])
        piece = _blob_level(x - middle[0], y - middle[1], size * share, irregularity, scallops, rng)
        level = np.maximum(level, piece * share)
    level += roughness * canvas.noise(rng, 2.2 / size, octaves=3)
    edge = np.minimum(canvas.half[0] - np.abs(x), canvas.half[1] - np.abs(y)) - _MARGIN
    level = np.minimum(level, edge / size)
    mask, contour = largest_piece(level > 0)
    # Islands outside the mask vanish and holes inside it close, so that the mask is exact.
    away = cv2.distanceTransform(255 - mask, cv2.DIST_L2, 3) * np.float32(1 / (size * canvas.unit))
    level = np.where(mask > 0, np.maximum(level, 0.01), np.minimum(level, -away))
    rho = cv2.magnitude(x - np.float32(centre[0]), y - np.float32(centre[1])) / np.float32(size)
    return Outline(
        level.astype(np.float32),
        rho,
        mask,
        canvas.to_scene(contour),
        (float(centre[0]), float(centre[1])),
        size,
    )


def _blob_level(
    x: Field, y: Field, size: float, irregularity: float, scallops: float, rng: np.random.Generator
) -> Field:
    turn, longer = rng.uniform(0, np.pi), rng.uniform(1.0, 1.3) ** 0.5
    u = (x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))) * np.float32(1 / longer)
    v = (y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))) * np.float32(longer)
    distance, angle = cv2.cartToPolar(u, v)
    turns = np.arange(1024) * (2 * np.pi / 1024)
    border = np.ones(1024)
    for waves in range(2, 7):
        amplitude = irregularity * rng.uniform(0.3, 1) * 2 / (waves + 1)
        border += amplitude * np.cos(waves * turns + rng.uniform(0, 2 * np.pi))
    border += scallops * np.cos(rng.integers(9, 15) * turns + rng.uniform(0, 2 * np.pi))
    steps = (angle * np.float32(1024 / (2 * np.pi))).astype(np.int32) & 1023
    reach = np.maximum(border, 0.3).astype(np.float32)[steps]
    level: Field = 1 - distance / (np.float32(size) * reach)
    return level


def largest_piece(
    inside: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Find the largest connected piece, with holes filled.

    Args:
        inside: (height, width), with at least one true pixel.

    Returns:
        Its mask, (height, width) uint8 of 0 and 255, and (720, 2) pixel coordinates (column, row)
        along its border.
    """
    contours, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    largest = max(contours, key=cv2.contourArea)
    mask = np.zeros(inside.shape, np.uint8)
    cv2.drawContours(mask, [largest], -1, 255, -1)
    # The same number of points at every size, so that chance picks the same ones.
    picks = np.linspace(0, len(largest) - 1, _CONTOUR_POINTS).round().astype(int)
    return mask, largest[picks, 0].astype(np.float64)


def network(
    canvas: Canvas,
    rng: np.random.Generator,
    *,
    spacing: float,
    irregularity: float,
    thickness: float = 0.5,
) -> Field:
    """Draw a pigment network: 1 on the lines of a honeycomb, 0 in its holes.

    Args:
        canvas: the picture.
        rng: source of chance.
        spacing: between holes, in scene units.
        irregularity: 0 for equal meshes; 1 shifts them by as much as their size.
        thickness: approximate fraction of the mesh that the lines fill.
    """
    x, y = canvas.coordinates()
    shift = np.float32(irregularity * spacing)
    x = x + shift * canvas.noise(rng, 0.25 / spacing) * 2
    y = y + shift * canvas.noise(rng, 0.25 / spacing) * 2
    turn = rng.uniform(0, np.pi / 3)
    wave = 4 * np.pi / (np.sqrt(3) * spacing)
    total = canvas.zeros()
    for direction in turn + np.arange(3) * 2 * np.pi / 3:
        phase = np.float32(wave * np.cos(direction)) * x + np.float32(wave * np.sin(direction)) * y
        total += np.cos(phase)
    # Three waves sum to 3 in the holes, -1 on the edges and -1.5 in the corners of a honeycomb.
    middle = 2.4 * (thickness - 0.5)
    return smooth_step(total, 0.9 + middle, -0.9 + middle)


def furrows(canvas: Canvas, rng: np.random.Generator, *, cells: float, width: float) -> Field:
    """Draw winding lines, 1 on the line: fissures, ridges and fingerprint patterns."""
    field = canvas.noise(rng, cells) * np.float32(1 / width)
    lines: Field = np.exp(-(field * field))
    return lines


def scatter(
    rng: np.random.Generator,
    outline: Outline,
    count: int,
    *,
    reach: float = 0.9,
    spread: float = 1.0,
) -> npt.NDArray[np.float64]:
    """Draw random points on a lesion, (count, 2) scene coordinates.

    Args:
        rng: source of chance.
        outline: the lesion.
        count: number of points.
        reach: largest distance from the centre, as a fraction of the way to the border.
        spread: 1 fills the lesion; less gathers the points around one place off its centre.
    """
    border = outline.contour[rng.integers(0, len(outline.contour), count)]
    centre = np.array(outline.centre)
    share = np.sqrt(rng.random((count, 1))) * reach
    points = centre + (border - centre) * share
    if spread >= 1:
        return points
    nucleus = centre + (outline.contour[rng.integers(0, len(outline.contour))] - centre) * 0.5
    return nucleus + (points - nucleus) * spread


def packed(
    canvas: Canvas,
    rng: np.random.Generator,
    outline: Outline,
    spacing: float,
    *,
    depth: float = 0.08,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fill a lesion with points of a jittered hexagonal lattice.

    Args:
        canvas: the picture.
        rng: source of chance.
        outline: the lesion.
        spacing: between neighbours, in scene units.
        depth: least level of the lesion at a point, which keeps points off the border.

    Returns:
        (n, 2) scene coordinates, and (3, n) random numbers within [0, 1), one triple per point:
        drawn here, so that an extra point at another size does not change its neighbours.
    """
    steps = np.arange(-25, 26)
    columns, rows = np.meshgrid(steps, steps)
    lattice = np.stack([columns + 0.5 * (rows % 2), rows * 0.87], axis=-1).reshape(-1, 2) * spacing
    lattice = lattice + rng.uniform(-0.22, 0.22, lattice.shape) * spacing
    chance = rng.random((3, len(lattice)))
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points: npt.NDArray[np.float64] = lattice @ rotation + np.array(outline.centre)
    column, row = np.round(canvas.to_pixels(points)).astype(int).T
    framed = (column >= 0) & (column < canvas.width) & (row >= 0) & (row < canvas.height)
    kept = np.zeros(len(points), bool)
    kept[framed] = outline.level[row[framed], column[framed]] > depth
    return points[kept], chance[:, kept]


def streaks(canvas: Canvas, rng: np.random.Generator, outline: Outline, count: int) -> Field:
    """Draw radial streaks and pseudopods over one part of the border."""
    start = rng.integers(0, _CONTOUR_POINTS)
    part = _CONTOUR_POINTS * rng.uniform(0.2, 0.45)
    where = (start + rng.uniform(0, part, count).astype(int)) % _CONTOUR_POINTS
    tip = outline.contour[where]
    tangent = outline.contour[(where + 9) % _CONTOUR_POINTS] - outline.contour[where - 9]
    outward = tangent[:, ::-1] * np.array([1, -1])
    # OpenCV follows an outer border in one direction; the centre tells the side of the skin.
    outward *= np.sign((outward * (tip - np.array(outline.centre))).sum())
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    outward += rng.normal(0, 0.25, outward.shape)
    root = tip - outward * rng.uniform(0.02, 0.07, (count, 1))
    end = tip + outward * rng.uniform(0.004, 0.034, (count, 1))
    t = np.linspace(0, 1, 6)[None, :, None]
    curves = root[:, None] * (1 - t) + end[:, None] * t
    thick = rng.uniform(0.007, 0.016, (count, 1))
    # Some streaks end in a bulb, as pseudopods do.
    bulb = rng.random((count, 1)) < 0.4
    taper = np.where(bulb, np.array([0.6, 0.6, 0.6, 0.8, 1.3, 0.9]), np.linspace(1, 0.4, 6))
    return canvas.blur(canvas.strokes(curves, thick * taper), 0.0025)


def branching_vessels(
    canvas: Canvas, rng: np.random.Generator, outline: Outline, trunks: int
) -> Field:
    """Draw arborizing vessels: sharp trunks from the border that branch into thinner ones."""
    centre = np.array(outline.centre)
    start = outline.contour[rng.integers(0, len(outline.contour), trunks)]
    heading = centre - start + rng.normal(0, 0.35 * outline.radius, (trunks, 2))
    width = rng.uniform(0.009, 0.014, trunks)
    curves, widths = [], []
    for branches in (1, 3, 2):
        start = np.repeat(start, branches, axis=0)
        heading = np.repeat(heading, branches, axis=0)
        width = np.repeat(width, branches) * (1 if branches == 1 else 0.62)
        turn = rng.uniform(-0.9, 0.9, len(start)) * (0.3 if branches == 1 else 1)
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        heading = heading * cos + heading[:, ::-1] * np.array([-1, 1]) * sin
        bend = (
            rng.normal(0, 0.16, (len(start), 2, 2)) * np.linalg.norm(heading, axis=1)[:, None, None]
        )
        control = start[:, None] + heading[:, None] * np.array([0, 0.33, 0.67, 1])[None, :, None]
        control[:, 1:3] += bend
        curve = bezier(control, 12)
        curves.append(curve)
        widths.append(width[:, None] * np.linspace(1, 0.6, 12))
        # Branches start at different points of their parent.
        start = curve[np.arange(len(curve)), rng.integers(5, 12, len(curve))]
        heading = heading * 0.6
    return canvas.strokes(np.concatenate(curves), np.concatenate(widths))
