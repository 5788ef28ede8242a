"""Occlusions between the lens and the lesion: hairs, rulers, ink and gel bubbles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.phantoms.canvas import Canvas, Field, bezier, smooth_step
from melanoma_tf.phantoms.lesions import LesionLayers
from melanoma_tf.phantoms.skin import Colours

Occluder = Callable[[Canvas, np.random.Generator, Colours, LesionLayers], Colours]


def _over(scene: Colours, opacity: Field, colour: npt.ArrayLike) -> Colours:
    """Lay one colour over a scene."""
    tint = np.asarray(colour, np.float32)[:, None, None] * opacity
    covered: Colours = scene * (1 - opacity)
    covered += tint
    return covered


def _shifted(field: Field, canvas: Canvas, x: float, y: float) -> Field:
    """Shift a field by a distance in scene units, filled with zeros."""
    move = np.array([[1, 0, x * canvas.unit], [0, 1, y * canvas.unit]], np.float64)
    moved: Field = cv2.warpAffine(field, move, (canvas.width, canvas.height))
    return moved


def hairs(
    canvas: Canvas, rng: np.random.Generator, scene: Colours, lesion: LesionLayers
) -> Colours:
    """Draw thin, curved, tapered hairs of one colour and main direction, with a slight shadow."""
    count = int(np.round(np.exp(rng.uniform(np.log(4), np.log(60)))))
    half = np.array(canvas.half)
    root = rng.uniform(-1.1, 1.1, (count, 2)) * half
    # One hair always passes near the lesion, so that a picture "with hairs" shows some.
    root[0] = np.array(lesion.centre) + rng.normal(0, 0.1, 2)
    main, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.9)
    heading = main + rng.normal(0, spread, count)
    length = rng.uniform(0.25, 1.1, count)
    step = (length / 3)[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    curl = rng.normal(0, 0.35, (count, 2)) * length[:, None]
    side = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    control = root[:, None] + step[:, None] * np.arange(4)[None, :, None]
    control[:, 2] += side * curl[:, :1] * 0.5
    control[:, 3] += side * curl[:, 1:]
    width = rng.uniform(0.0035, 0.0095) * rng.uniform(0.6, 1.2, count)
    taper = np.concatenate([np.linspace(0.8, 1, 8), np.linspace(1, 0.15, 16)])
    layer = canvas.strokes(
        bezier(control, 24), width[:, None] * taper, rng.uniform(0.7, 1.0, count)
    )
    light = rng.random() < 0.2
    shade = canvas.blur(_shifted(layer, canvas, 0.004, 0.005), 0.003)
    scene = scene * (1 - np.float32(0.16) * shade)
    dark_tone = np.array([0.1, 0.065, 0.05]) * rng.uniform(0.4, 2.6)
    colour = np.array([0.93, 0.86, 0.72]) if light else dark_tone
    return _over(scene, layer * np.float32(0.8 if light else 0.92), colour)


def ruler(
    canvas: Canvas, rng: np.random.Generator, scene: Colours, lesion: LesionLayers
) -> Colours:
    """Draw a millimetre scale: ticks and numbers along an edge, or around the lens."""
    del lesion
    tint = np.array([0.08, 0.08, 0.1]) if rng.random() < 0.8 else np.array([0.93, 0.93, 0.9])
    if rng.random() < 0.3:
        layer = _round_scale(canvas, rng)
        return _over(scene, layer * np.float32(0.8), tint)
    layer, strip = _straight_scale(canvas, rng)
    if rng.random() < 0.5 and tint[0] < 0.5:
        scene = _over(scene, strip * np.float32(rng.uniform(0.3, 0.85)), [0.95, 0.95, 0.93])
    return _over(scene, layer * np.float32(0.85), tint)


def _straight_scale(canvas: Canvas, rng: np.random.Generator) -> tuple[Field, Field]:
    """Draw ticks with numbers along a long edge, and the strip below them."""
    across = canvas.width >= canvas.height
    far = rng.random() < 0.5
    millimetre, depth = rng.uniform(0.028, 0.05), rng.uniform(0.06, 0.09)
    reach = max(canvas.half)
    places = np.arange(-reach + rng.uniform(0, millimetre), reach, millimetre)
    number = int(rng.integers(0, 10)) + np.arange(len(places))
    length = np.where(number % 10 == 0, 1.0, np.where(number % 5 == 0, 0.75, 0.5)) * depth
    # Drawn from the frame inwards; `sign` selects one of the two edges.
    sign = -1.0 if far else 1.0
    t = np.linspace(0, 1, 4)
    inward = -0.5 + length[:, None] * t
    along = np.broadcast_to(places[:, None], inward.shape)
    curves = np.stack([along, sign * inward] if across else [sign * inward, along], axis=2)
    layer = canvas.strokes(curves, np.full(inward.shape, 0.0055))
    image = (layer * 255).astype(np.uint8)
    for place, value in zip(places[number % 10 == 0], number[number % 10 == 0]):
        middle = np.array([place, sign * (-0.5 + depth + 0.032)])
        _write(canvas, image, str(value // 10), middle if across else middle[::-1])
    x, y = canvas.coordinates()
    strip = smooth_step(sign * (y if across else x), -0.5 + depth + 0.075, -0.5 + depth + 0.065)
    return image * np.float32(1 / 255), strip


def _write(
    canvas: Canvas, image: npt.NDArray[np.uint8], text: str, middle: npt.NDArray[np.float64]
) -> None:
    """Write a number into a uint8 layer, centred on a place in scene coordinates."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = 0.0019 * canvas.unit
    thick = max(1, round(0.006 * canvas.unit))
    (width, height), _ = cv2.getTextSize(text, font, scale, thick)
    corner = canvas.to_pixels(middle) + np.array([-width / 2, height / 2])
    cv2.putText(
        image, text, (round(corner[0]), round(corner[1])), font, scale, 255, thick, cv2.LINE_AA
    )


def _round_scale(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Draw ticks around the lens, over a part of the circle."""
    radius, step = rng.uniform(0.42, 0.46), rng.uniform(0.06, 0.09)
    turns = rng.uniform(0, 2 * np.pi) + np.arange(0, rng.uniform(2.0, 6.2), step)
    long = np.where(np.arange(len(turns)) % 5 == 0, 0.045, 0.025)
    t = radius - long[:, None] * np.linspace(0, 1, 4)
    curves = t[..., None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)[:, None]
    ticks = canvas.strokes(curves, np.full(t.shape, 0.005))
    arc = radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)[None]
    return np.maximum(ticks, canvas.strokes(arc, np.full(arc.shape[:2], 0.004)))


def ink(canvas: Canvas, rng: np.random.Generator, scene: Colours, lesion: LesionLayers) -> Colours:
    """Draw surgical marker near the lesion: strokes or dots, patchy on furrowed skin."""
    centre = np.array(lesion.centre)
    reach = lesion.radius * 1.25 + 0.05
    turn = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        count = int(rng.integers(1, 4))
        bow = turn + np.arange(count)[:, None] * 2.1 + np.linspace(-0.35, 0.35, 16)
        distance = reach * (1 + rng.uniform(-0.06, 0.1, (count, 1)) + 0.05 * np.sin(3 * bow))
        curves = centre + distance[..., None] * np.stack([np.cos(bow), np.sin(bow)], axis=2)
        layer = canvas.strokes(curves, np.full(curves.shape[:2], rng.uniform(0.02, 0.045)))
    else:
        count = int(rng.integers(2, 7))
        angles = turn + rng.uniform(0, 2.5, count)
        distance = reach * rng.uniform(1.0, 1.3, count)
        points = centre + distance[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        # Points outside the frame are moved to its edge.
        points = np.clip(points, -np.array(canvas.half) + 0.03, np.array(canvas.half) - 0.03)
        layer = canvas.discs(points, rng.uniform(0.015, 0.045, count))
    patchy = smooth_step(canvas.noise(rng, 40, octaves=2), -0.75, 0.25)
    density = canvas.blur(layer, 0.006) * (0.25 + 0.75 * patchy) * np.float32(rng.uniform(0.7, 1.6))
    violet, blue = np.array([1.0, 1.55, 0.2]), np.array([1.7, 1.1, 0.25])
    mix = rng.random()
    absorbed = (violet * mix + blue * (1 - mix)).astype(np.float32)
    marked: Colours = scene * np.exp(density * -absorbed[:, None, None])
    return marked


def bubbles(
    canvas: Canvas, rng: np.random.Generator, scene: Colours, lesion: LesionLayers
) -> Colours:
    """Draw bubbles in the gel: a thin dark and a bright rim, brighter inside, with a glint."""
    del lesion
    count = int(rng.integers(3, 18))
    cluster = rng.uniform(-0.4, 0.4, 2)
    points = cluster + rng.normal(0, rng.uniform(0.08, 0.3), (count, 2))
    points = np.clip(points, -np.array(canvas.half) * 0.95, np.array(canvas.half) * 0.95)
    radii = np.exp(rng.uniform(np.log(0.008), np.log(0.05), count))
    # One is large enough to be visible, and no dark corner hides it.
    points[0], radii[0] = rng.uniform(-0.33, 0.33, 2), max(radii[0], 0.05)
    outer = canvas.discs(points, radii * 1.12)
    full = canvas.discs(points, radii)
    core = canvas.discs(points, radii * 0.8)
    toward = np.array([-0.4, -0.45])
    glints = canvas.discs(points + toward * radii[:, None], radii * 0.17)
    back = canvas.discs(points - toward * radii[:, None] * 1.1, radii * 0.1)
    scene = scene * (1 - np.float32(0.4) * np.clip(outer - full, 0, 1))
    scene = _over(scene, np.clip(full - core, 0, 1) * np.float32(0.5), [1.0, 0.99, 0.96])
    scene = _over(scene, core * np.float32(0.12), [1.0, 0.98, 0.95])
    return _over(scene, np.maximum(glints, back * np.float32(0.7)), [1.05, 1.05, 1.05])


# In the order of the layers: ink on the skin, gel on top.
OCCLUDERS: dict[str, Occluder] = {"ink": ink, "hairs": hairs, "bubbles": bubbles, "ruler": ruler}
"""Name -> function that draws the occlusion over a scene."""
