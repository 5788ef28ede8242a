"""Hairs, rulers, ink and bubbles of known shape, drawn on clean images.

Two generators that share no shape code: `draw_tuning` is the one whose images a method may be
tuned on, `draw_reporting` the one that results are reported on. Sizes are in pixels of an image
whose long side has 512; they scale with the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 4
# Coverage from which a pixel counts as occluded: a fifth of a hair is a visible shade.
OCCLUDED_FROM = 0.2


@dataclass
class Canvas:
    """An image that is drawn on, and what of it has been covered so far.

    Attributes:
        image: float32 RGB in [0, 1], `(height, width, 3)`.
        covered: float32 coverage in [0, 1], `(height, width)`.
        rng: the drawing's randomness.
    """

    image: np.ndarray
    covered: np.ndarray
    rng: np.random.Generator

    @classmethod
    def on(cls, image: np.ndarray, rng: np.random.Generator) -> Canvas:
        return cls(image.astype(np.float32) / 255.0, np.zeros(image.shape[:2], np.float32), rng)

    @property
    def size(self) -> np.ndarray:
        """Width and height, since OpenCV's drawing functions take x before y."""
        return np.array(self.covered.shape[::-1], np.float64)

    @property
    def unit(self) -> float:
        """Pixels of this image per pixel of one whose long side has 512."""
        return float(self.size.max()) / 512.0

    def point(self, margin: float = 0.0) -> np.ndarray:
        return self.rng.uniform(-margin, 1.0 + margin, 2) * self.size

    def coverage(self, draw: Callable[[np.ndarray, float], None], blur: float) -> np.ndarray:
        """Antialiased coverage of what `draw(mask, scale)` draws with 255 on a larger mask."""
        scale = SUPERSAMPLING
        large = np.zeros([side * scale for side in self.covered.shape], np.uint8)
        draw(large, scale)
        small = cv2.resize(large, self.covered.shape[::-1], interpolation=cv2.INTER_AREA)
        coverage = small.astype(np.float32) / 255.0
        return cv2.GaussianBlur(coverage, (0, 0), blur * self.unit) if blur > 0 else coverage

    def paint(self, coverage: np.ndarray, colour: np.ndarray, opacity: float) -> None:
        alpha = (coverage * opacity)[..., None]
        self.image = self.image * (1.0 - alpha) + np.asarray(colour, np.float32) * alpha
        self.covered = np.maximum(self.covered, coverage)

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        """The image as uint8, and the mask of what is occluded as bool."""
        image = np.clip(np.rint(self.image * 255.0), 0, 255).astype(np.uint8)
        return image, self.covered >= OCCLUDED_FROM


def _polyline(mask: np.ndarray, points: np.ndarray, width: float, scale: float) -> None:
    shifted = np.rint(points * scale * 16).astype(np.int32)
    thickness = max(1, round(width * scale))
    cv2.polylines(mask, [shifted], False, 255, thickness, cv2.LINE_AA, shift=4)


# --- the tuning half -----------------------------------------------------------------------------


def _bezier_hair(canvas: Canvas, light: bool) -> None:
    rng = canvas.rng
    start, end = canvas.point(0.1), canvas.point(0.1)
    bend = (start + end) / 2 + rng.normal(0, 0.18, 2) * canvas.size
    t = np.linspace(0, 1, 60)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    width = rng.uniform(1.0, 4.0) * canvas.unit
    tone = rng.uniform(0.75, 0.95) if light else rng.uniform(0.05, 0.55)
    green = rng.uniform(0.7, 1.0)
    warmth = np.array([1.0, green, green * rng.uniform(0.7, 1.0)])
    coverage = canvas.coverage(lambda m, s: _polyline(m, points, width, s), rng.uniform(0.3, 0.8))
    canvas.paint(coverage, tone * warmth, rng.uniform(0.6, 0.95))


def _comb_ruler(canvas: Canvas) -> None:
    rng, unit = canvas.rng, canvas.unit
    angle = rng.uniform(-0.35, 0.35) + rng.choice([0.0, np.pi / 2])
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    origin = canvas.point(-0.15)
    step, count = rng.uniform(4.0, 8.0) * unit, int(rng.integers(20, 45))
    tick = rng.uniform(5.0, 8.0) * unit

    def draw(mask: np.ndarray, scale: float) -> None:
        width = 1.1 * unit
        if draws_spine:
            _polyline(mask, np.array([origin, origin + along * step * count]), width, scale)
        for index in range(count + 1):
            base = origin + along * step * index
            length = tick * (2.0 if index % 10 == 0 else 1.5 if index % 5 == 0 else 1.0)
            _polyline(mask, np.array([base, base + across * length]), width, scale)
            if index % 10 == 0:
                place = (base + across * tick * 3.4) * scale
                place = tuple(int(v) for v in np.rint(place))
                size = 0.45 * unit * scale
                weight = max(1, round(1.3 * unit * scale))
                cv2.putText(
                    mask, str(index // 10), place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, weight
                )

    draws_spine = rng.random() < 0.6
    canvas.paint(canvas.coverage(draw, 0.4), rng.uniform(0.02, 0.2, 1), rng.uniform(0.75, 0.95))


def _speckled_ink(canvas: Canvas) -> None:
    rng, unit = canvas.rng, canvas.unit
    centre, radius = _away_from_centre(canvas), rng.uniform(12, 30) * unit

    def draw(mask: np.ndarray, scale: float) -> None:
        for _ in range(int(rng.integers(60, 160))):
            place = centre + rng.normal(0, 0.5, 2) * radius
            dot = max(1, round(rng.uniform(1.0, 4.0) * unit * scale))
            cv2.circle(mask, tuple(int(v) for v in np.rint(place * scale)), dot, 255, -1)

    inks = ([0.30, 0.25, 0.75], [0.15, 0.2, 0.6], [0.35, 0.2, 0.6], [0.1, 0.45, 0.45])
    canvas.paint(canvas.coverage(draw, 0.5), inks[rng.integers(len(inks))], rng.uniform(0.6, 0.9))


def _away_from_centre(canvas: Canvas) -> np.ndarray:
    """A place near the border: the marker goes next to the lesion, never onto it."""
    angle = canvas.rng.uniform(0, 2 * np.pi)
    return canvas.size * (0.5 + 0.42 * np.array([np.cos(angle), np.sin(angle)]))


def _ring_bubble(canvas: Canvas) -> None:
    rng, unit = canvas.rng, canvas.unit
    centre, radius = canvas.point(), rng.uniform(5, 18) * unit

    def draw(mask: np.ndarray, scale: float) -> None:
        place = tuple(int(v) for v in np.rint(centre * scale))
        weight = max(1, round(1.6 * unit * scale))
        cv2.circle(mask, place, round(radius * scale), 255, weight, cv2.LINE_AA)

    canvas.paint(canvas.coverage(draw, 0.5), rng.uniform(0.9, 1.0, 1), rng.uniform(0.5, 0.8))


def draw_tuning(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw Bezier hairs, a comb ruler with digits, speckled ink and round bubbles.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        rng: the randomness.

    Returns:
        The occluded image, uint8, and the mask of occluded pixels, bool `(height, width)`.
    """
    canvas = Canvas.on(image, rng)
    for _ in range(int(rng.integers(3, 28))):
        _bezier_hair(canvas, light=rng.random() < 0.12)
    if rng.random() < 0.4:
        _comb_ruler(canvas)
    if rng.random() < 0.2:
        _speckled_ink(canvas)
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 8))):
            _ring_bubble(canvas)
    return canvas.finished()


# --- the reporting half --------------------------------------------------------------------------


def _walk(canvas: Canvas, start: np.ndarray, heading: float, length: float) -> np.ndarray:
    """A path whose curvature drifts as it goes, as a hair's does."""
    rng = canvas.rng
    steps = max(4, int(length / (4 * canvas.unit)))
    curvature = rng.normal(0, 0.010) + np.cumsum(rng.normal(0, 0.004, steps))
    headings = heading + np.cumsum(curvature)
    moves = 4 * canvas.unit * np.stack([np.cos(headings), np.sin(headings)], -1)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)])


def _tapered(mask: np.ndarray, points: np.ndarray, width: float, scale: float) -> None:
    """A line that thins out towards its end."""
    for index in range(len(points) - 1):
        share = 1.0 - 0.6 * index / len(points)
        _polyline(mask, points[index : index + 2], width * share, scale)


def _grown_hairs(canvas: Canvas) -> None:
    """A tuft: hairs of one person share tone, and roughly a direction."""
    rng, unit = canvas.rng, canvas.unit
    heading = rng.uniform(0, 2 * np.pi)
    pigment = np.array([rng.uniform(0.06, 0.55), 0, 0])
    green = rng.uniform(0.65, 0.95)
    pigment[1:] = pigment[0] * np.array([green, green * rng.uniform(0.65, 1.0)])
    if rng.random() < 0.12:
        pigment = np.array([0.93, 0.9, rng.uniform(0.75, 0.9)])
    stubble = rng.random() < 0.15
    for _ in range(int(rng.integers(4, 36))):
        length = rng.uniform(12, 30) if stubble else rng.uniform(80, 500)
        path = _walk(canvas, canvas.point(0.05), heading + rng.normal(0, 0.5), length * unit)
        width = rng.uniform(1.0, 4.5) * unit
        focus = rng.uniform(0.3, 0.9)
        body = canvas.coverage(lambda m, s, p=path, w=width: _tapered(m, p, w, s), focus)
        canvas.paint(body, np.clip(pigment * rng.uniform(0.8, 1.2), 0, 1), rng.uniform(0.65, 0.95))
        if width > 2.5 * unit:
            glint = canvas.coverage(lambda m, s, p=path, w=width: _tapered(m, p, w / 4, s), focus)
            canvas.paint(glint, np.clip(pigment + 0.25, 0, 1), 0.4)


def _scale_bar(canvas: Canvas) -> None:
    """Loose ticks along one side, as an eyepiece scale shows them, with segment digits."""
    rng, unit = canvas.rng, canvas.unit
    vertical = rng.random() < 0.5
    along = np.array([0.0, 1.0]) if vertical else np.array([1.0, 0.0])
    across = along[::-1]
    edge = canvas.size * across * rng.uniform(0.82, 0.92)
    step, tick = rng.uniform(18, 36) * unit, rng.uniform(10, 16) * unit
    count = int((canvas.size @ along) / step)
    weight = rng.uniform(1.2, 2.4) * unit

    def draw(mask: np.ndarray, scale: float) -> None:
        for index in range(1, count):
            base = edge + along * step * index
            length = tick * (1.7 if index % 5 == 0 else 1.0)
            _polyline(mask, np.array([base, base + across * length]), weight, scale)
            if index % 5 == 0:
                _segment_digit(mask, base - across * 14 * unit, index // 5 % 10, unit, scale)

    canvas.paint(canvas.coverage(draw, 0.5), rng.uniform(0.02, 0.15, 1), rng.uniform(0.75, 0.95))


# Which strokes of a seven-segment display each digit lights, and where the strokes lie.
_LIT = ("012345", "12", "01346", "01236", "1256", "02356", "023456", "012", "0123456", "012356")
_STROKES = (
    ((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (1, 2)), ((0, 2), (1, 2)),
    ((0, 1), (0, 2)), ((0, 0), (0, 1)), ((0, 1), (1, 1)),
)  # fmt: skip


def _segment_digit(
    mask: np.ndarray, corner: np.ndarray, digit: int, unit: float, scale: float
) -> None:
    for stroke in _LIT[digit]:
        ends = corner + np.array(_STROKES[int(stroke)], float) * np.array([5.5, 5.0]) * unit
        _polyline(mask, ends, 1.5 * unit, scale)


def _marker_strokes(canvas: Canvas) -> None:
    rng, unit = canvas.rng, canvas.unit
    centre = _away_from_centre(canvas)
    heading = rng.uniform(0, 2 * np.pi)
    inks = ([0.28, 0.2, 0.6], [0.2, 0.3, 0.7], [0.1, 0.35, 0.4], [0.1, 0.1, 0.15])
    colour = inks[rng.integers(len(inks))]
    for _ in range(int(rng.integers(1, 4))):
        path = _walk(canvas, centre + rng.normal(0, 12, 2) * unit, heading, rng.uniform(25, 70))
        width = rng.uniform(3, 9) * unit
        coverage = canvas.coverage(lambda m, s, p=path, w=width: _polyline(m, p, w, s), 0.7)
        canvas.paint(coverage, colour, rng.uniform(0.55, 0.85))


def _lens_bubbles(canvas: Canvas) -> None:
    """Flattened rings, bright on the side of the light and dark on the other."""
    rng, unit = canvas.rng, canvas.unit
    light = rng.uniform(0, 360)
    for _ in range(int(rng.integers(1, 9))):
        centre, radius = canvas.point(), rng.uniform(5, 20) * unit
        axes = radius * np.array([1.0, rng.uniform(0.75, 1.0)])
        for towards, tone in ((light, rng.uniform(0.9, 1.0)), (light + 180, rng.uniform(0.2, 0.5))):

            def draw(mask: np.ndarray, scale: float, c=centre, a=axes, start=towards) -> None:
                cv2.ellipse(
                    mask,
                    tuple(int(v) for v in np.rint(c * scale)),
                    tuple(int(v) for v in np.rint(a * scale)),
                    0.0, start - 80, start + 80, 255,
                    max(1, round(1.5 * unit * scale)), cv2.LINE_AA,
                )  # fmt: skip

            canvas.paint(canvas.coverage(draw, 0.5), np.full(3, tone), rng.uniform(0.5, 0.8))


def draw_ruler(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the scale of the reporting half alone; arguments and results as `draw_reporting`."""
    canvas = Canvas.on(image, rng)
    _scale_bar(canvas)
    return canvas.finished()


def draw_reporting(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw tufts of grown hairs, a loose scale with digits, marker strokes and flat bubbles.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        rng: the randomness.

    Returns:
        The occluded image, uint8, and the mask of occluded pixels, bool `(height, width)`.
    """
    canvas = Canvas.on(image, rng)
    _grown_hairs(canvas)
    if rng.random() < 0.4:
        _scale_bar(canvas)
    if rng.random() < 0.2:
        _marker_strokes(canvas)
    if rng.random() < 0.3:
        _lens_bubbles(canvas)
    return canvas.finished()
