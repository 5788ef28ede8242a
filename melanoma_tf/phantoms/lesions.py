"""Appearance of each diagnosis: outline, structures and their arrangement.

A pattern distributes pigment and blood, but does not set their amounts: the mean amounts are drawn
from the same ranges for all classes, so that a lesion's structure tells its class and its mean
colour tells little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.phantoms.canvas import Canvas, Field, smooth_step
from melanoma_tf.phantoms.structures import (
    Outline,
    branching_vessels,
    draw_outline,
    furrows,
    largest_piece,
    network,
    packed,
    scatter,
    streaks,
)


@dataclass(frozen=True)
class LesionLayers:
    """The pigment, blood and surface that a lesion adds to the skin.

    Attributes:
        mask: (height, width) uint8, 0 skin, 255 lesion.
        melanin: relative amount of brown pigment, >= 0.
        blood: relative amount of haemoglobin, >= 0.
        veil: opacity of the blue-white or blue-grey veil, within [0, 1].
        white: opacity of white structures (scar, scale, cysts), within [0, 1].
        relief: brightness of the surface, 1 where it is flat.
        centre: scene coordinates (x, y).
        radius: mean radius in scene units.
        depth: depth of the pigment in the skin, from -1 (surface, yellow-brown) to 1 (deep, grey).
    """

    mask: npt.NDArray[np.uint8]
    melanin: Field
    blood: Field
    veil: Field
    white: Field
    relief: Field
    centre: tuple[float, float]
    radius: float
    depth: float = 0.0


Pattern = Callable[[Canvas, np.random.Generator], LesionLayers]


def draw_lesion(canvas: Canvas, rng: np.random.Generator, pattern: Pattern) -> LesionLayers:
    """Draw the layers of a lesion, with amounts of pigment that do not tell its class."""
    melanin_mean, blood_mean = rng.uniform(0.35, 1.2), rng.uniform(0.02, 0.25)
    depth = rng.uniform(-1, 1)
    layers = pattern(canvas, rng)
    # A class that is typically red or brown keeps a part of its own mean.
    melanin = (melanin_mean / max(cv2.mean(layers.melanin, layers.mask)[0], 1e-3)) ** 0.75
    blood = (blood_mean / max(cv2.mean(layers.blood, layers.mask)[0], 1e-3)) ** 0.6
    return replace(
        layers,
        melanin=layers.melanin * np.float32(melanin),
        blood=layers.blood * np.float32(blood),
        depth=depth,
    )


def _layers(
    outline: Outline,
    *,
    melanin: Field,
    blood: Field | None = None,
    veil: Field | None = None,
    white: Field | None = None,
    relief: Field | None = None,
    mask: npt.NDArray[np.uint8] | None = None,
) -> LesionLayers:
    none = np.zeros_like(outline.level)
    return LesionLayers(
        mask=outline.mask if mask is None else mask,
        melanin=np.maximum(melanin, 0),
        blood=np.float32(0.15) * outline.cover(0.3) if blood is None else np.maximum(blood, 0),
        veil=none if veil is None else np.clip(veil, 0, 1),
        white=none if white is None else np.clip(white, 0, 1),
        relief=none + 1 if relief is None else relief,
        centre=outline.centre,
        radius=outline.radius,
    )


def _patch(
    canvas: Canvas, rng: np.random.Generator, outline: Outline, size: float, *, spread: float = 1.0
) -> Field:
    """Draw a soft irregular off-centre patch, within [0, 1]; `size` is in lesion radii."""
    x, y = canvas.coordinates()
    middle = scatter(rng, outline, 1, reach=0.7 * spread)[0]
    distance = cv2.magnitude(x - np.float32(middle[0]), y - np.float32(middle[1]))
    distance /= np.float32(size * outline.radius)
    distance += np.float32(0.75) * canvas.noise(rng, 1.8 / outline.radius, octaves=3)
    return smooth_step(distance, 1.35, 0.5)


def melanoma(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a melanoma: asymmetric, irregular border, several colours, atypical structures."""
    outline = draw_outline(
        canvas,
        rng,
        irregularity=rng.uniform(0.08, 0.2),
        roughness=rng.uniform(0.12, 0.3),
        blobs=int(rng.integers(1, 5)),
    )
    # Abrupt in one part of the border, fading in another.
    softness = np.float32(0.18) + np.float32(0.16) * canvas.noise(rng, 1.5)
    cover = outline.cover(np.maximum(softness, np.float32(0.05)))
    tone = canvas.noise(rng, 0.9 / outline.radius, octaves=2)
    melanin = 0.4 + 0.55 * smooth_step(tone, -0.35, -0.05) + 1.0 * smooth_step(tone, 0.15, 0.4)
    melanin += np.float32(0.2) * canvas.noise(rng, 14, octaves=3)
    shown = rng.permutation(5)[: rng.integers(2, 5)]
    veil, white = canvas.zeros(), canvas.zeros()
    blood = (0.25 + 0.5 * smooth_step(canvas.noise(rng, 0.7 / outline.radius), 0.1, 0.6)) * cover
    mask = outline.mask
    lines = network(
        canvas, rng, spacing=rng.uniform(0.036, 0.05), irregularity=0.65, thickness=0.55
    )
    where = smooth_step(canvas.noise(rng, 1.2 / outline.radius), -0.2, 0.4)
    melanin += np.float32(0.95 if 0 in shown else 0.3) * lines * where
    if 1 in shown:
        count = int(rng.integers(25, 60))
        points = scatter(rng, outline, count, reach=1.0, spread=rng.uniform(0.45, 0.8))
        dots = canvas.discs(points, rng.uniform(0.003, 0.013, count), rng.uniform(0.5, 1, count))
        melanin += np.float32(1.6) * canvas.blur(dots, 0.0025)
    melanin = melanin * cover
    if 2 in shown:
        spokes = streaks(canvas, rng, outline, int(rng.integers(14, 30)))
        melanin = np.maximum(melanin, spokes * np.float32(1.4))
        mask, _ = largest_piece((spokes > 0.5) | (mask > 0))
    if 3 in shown:
        veil = _patch(canvas, rng, outline, rng.uniform(0.35, 0.65)) * cover
        veil *= np.float32(rng.uniform(0.45, 0.75)) + np.float32(0.15) * canvas.noise(rng, 8, 3)
        melanin += veil * np.float32(0.5)
    if 4 in shown:
        scar = _patch(canvas, rng, outline, rng.uniform(0.25, 0.45)) * cover
        melanin *= 1 - np.float32(0.75) * scar
        white = scar * np.float32(rng.uniform(0.15, 0.4))
    return _layers(outline, melanin=melanin, blood=blood, veil=veil, white=white, mask=mask)


def nevus(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a nevus: round or oval, symmetric; reticular, globular or homogeneous pattern."""
    outline = draw_outline(
        canvas, rng, irregularity=rng.uniform(0.01, 0.07), roughness=rng.uniform(0.02, 0.08)
    )
    cover = outline.cover(rng.uniform(0.15, 0.4))
    # Darker or lighter towards the middle, the same in every direction.
    centred = rng.uniform(-0.25, 0.45) * smooth_step(outline.rho, 0.9, 0.1)
    melanin = 0.8 + np.float32(1) * centred + np.float32(0.2) * canvas.noise(rng, 6, octaves=4)
    pattern = rng.choice(["reticular", "globular", "homogeneous"], p=[0.5, 0.3, 0.2])
    if pattern == "reticular":
        lines = network(canvas, rng, spacing=rng.uniform(0.026, 0.036), irregularity=0.42)
        strength = np.float32(rng.uniform(0.5, 0.8)) * (1 + np.float32(0.5) * canvas.noise(rng, 8))
        melanin += (lines - np.float32(0.4)) * strength
        # The lines extend into the skin a little further than the pigment between them.
        cover = np.maximum(outline.cover(0.25), lines * smooth_step(outline.level, -0.16, 0.12))
    elif pattern == "globular":
        spacing = rng.uniform(0.032, 0.046)
        points, chance = packed(canvas, rng, outline, spacing, depth=0.02)
        radii = spacing * (0.3 + 0.12 * chance[0])
        melanin += np.float32(0.65) * canvas.blur(canvas.discs(points, radii), 0.003)
    # Some are as dull as a keratosis, so that colour does not tell them apart.
    dull = cover * np.float32(rng.uniform(0, 0.14))
    return _layers(outline, melanin=melanin * cover, white=dull)


def seborrheic_keratosis(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a seborrheic keratosis: sharp border, waxy relief, cysts, comedo-like openings."""
    outline = draw_outline(
        canvas,
        rng,
        irregularity=rng.uniform(0.03, 0.1),
        roughness=rng.uniform(0.03, 0.08),
        scallops=rng.uniform(0.005, 0.025),
    )
    cover = outline.cover(rng.uniform(0.03, 0.06))
    melanin = 0.75 + np.float32(0.35) * canvas.noise(rng, 6, octaves=4)
    fissures = furrows(canvas, rng, cells=rng.uniform(10, 18), width=rng.uniform(0.1, 0.2)) * cover
    melanin += fissures * np.float32(rng.uniform(0.1, 0.6))
    rim = smooth_step(outline.level, 0.16, 0.02) * cover
    melanin += rim * np.float32(0.3)
    count = int(rng.integers(8, 26))
    openings = canvas.discs(
        scatter(rng, outline, count, reach=0.92), rng.uniform(0.006, 0.017, count)
    )
    openings = canvas.blur(openings, 0.002)
    melanin += openings * np.float32(1.7)
    count = int(rng.integers(10, 32))
    cysts = canvas.discs(
        scatter(rng, outline, count, reach=0.9),
        rng.uniform(0.005, 0.013, count),
        rng.uniform(0.45, 0.9, count),
    )
    white = canvas.blur(cysts, 0.0025) + np.float32(rng.uniform(0, 0.06)) * cover
    # The light falls from one side on the raised surface.
    height = canvas.blur(cover * np.float32(2) - fissures - openings, 0.007)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(turn)) * cv2.Sobel(height, cv2.CV_32F, 1, 0) + np.float32(
        np.sin(turn)
    ) * cv2.Sobel(height, cv2.CV_32F, 0, 1)
    relief = 1 + cover * np.clip(slope * np.float32(canvas.unit * 0.0007), -0.2, 0.16)
    return _layers(outline, melanin=melanin * cover, white=white, relief=relief)


def benign_keratosis(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a seborrheic keratosis, or a moth-eaten solar lentigo with fingerprint lines."""
    if rng.random() < 0.5:
        return seborrheic_keratosis(canvas, rng)
    outline = draw_outline(
        canvas, rng, irregularity=0.08, roughness=rng.uniform(0.08, 0.14), scallops=0.04
    )
    cover = outline.cover(0.06)
    lines = furrows(canvas, rng, cells=rng.uniform(22, 30), width=0.3)
    shade = canvas.noise(rng, 5, octaves=3)
    melanin = (0.5 + 0.4 * lines * smooth_step(shade, -0.5, 0.2) + np.float32(0.25) * shade) * cover
    return _layers(outline, melanin=melanin)


def actinic_keratosis(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw an actinic keratosis: red pseudo-network around pale follicles, with scale."""
    outline = draw_outline(canvas, rng, irregularity=0.1, roughness=rng.uniform(0.12, 0.2))
    cover = outline.cover(0.45)
    spacing = rng.uniform(0.05, 0.065)
    points, chance = packed(canvas, rng, outline, spacing)
    follicles = canvas.discs(points, spacing * (0.16 + 0.18 * chance[0]))
    plugs = canvas.discs(points, spacing * (0.09 + 0.05 * chance[1]))
    follicles = canvas.blur(follicles, 0.006)
    mottle = canvas.noise(rng, 16, octaves=2)
    blood = (0.75 + np.float32(0.45) * mottle) * cover * (1 - np.float32(0.7) * follicles)
    melanin = (0.35 + 0.35 * smooth_step(canvas.noise(rng, 9, octaves=2), 0.1, 0.6)) * cover
    melanin *= 1 - np.float32(0.5) * follicles
    melanin += plugs * np.float32(0.25) * cover
    flakes = smooth_step(canvas.noise(rng, 22, octaves=2), 0.3, 0.55)
    scale = flakes * smooth_step(canvas.noise(rng, 5), 0.05, 0.35) * outline.cover(0.3)
    white = scale * np.float32(0.6) + follicles * np.float32(0.12) * cover
    return _layers(outline, melanin=melanin, blood=blood, white=white)


def basal_cell_carcinoma(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a basal cell carcinoma: arborizing vessels, ovoid nests, leaf-like areas, erosions."""
    outline = draw_outline(canvas, rng, irregularity=0.06, roughness=0.08)
    cover = outline.cover(0.2)
    vessels = branching_vessels(canvas, rng, outline, int(rng.integers(3, 6)))
    vessels = vessels * smooth_step(outline.level, -0.2, 0.0)
    blood = cover * (0.2 + np.float32(0.15) * canvas.noise(rng, 8, octaves=3))
    blood += vessels * np.float32(1.1)
    where = canvas.discs(
        scatter(rng, outline, 7, reach=0.85), outline.radius * rng.uniform(0.08, 0.24, 7)
    )
    where = canvas.blur(where, 0.012) + np.float32(0.35) * canvas.noise(rng, 14, octaves=3)
    nests = smooth_step(where, 0.35, 0.7) * cover
    leaves = smooth_step(outline.level, 0.3, 0.1) * smooth_step(
        canvas.noise(rng, 9, octaves=3), 0.25, 0.5
    )
    melanin = np.float32(0.12) * cover + nests * np.float32(0.8) + leaves * cover * np.float32(0.8)
    white = np.float32(0.12) * cover
    if rng.random() < 0.5:
        erosion = _patch(canvas, rng, outline, 0.2) * cover
        blood += erosion * np.float32(1.2)
        melanin += erosion * np.float32(0.5)
    veil = nests * np.float32(rng.uniform(0.35, 0.6))
    return _layers(outline, melanin=melanin, blood=blood, veil=veil, white=white)


def dermatofibroma(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a dermatofibroma: a white scar-like centre and a delicate network, fading outwards."""
    outline = draw_outline(
        canvas, rng, radius=(0.2, 0.3), irregularity=0.03, roughness=rng.uniform(0.03, 0.06)
    )
    cover = outline.cover(0.5)
    warped = outline.rho + np.float32(0.12) * canvas.noise(rng, 9, octaves=2)
    scar = smooth_step(warped, 0.55, 0.3)
    ring = smooth_step(warped, 0.25, 0.6)
    lines = network(canvas, rng, spacing=0.03, irregularity=0.35, thickness=0.4)
    melanin = cover * ring * (0.45 + np.float32(0.45) * lines)
    shine = canvas.noise(rng, 24, octaves=2)
    white = scar * (np.float32(rng.uniform(0.3, 0.5)) + np.float32(0.25) * shine)
    blood = cover * (0.3 + np.float32(0.25) * ring)
    return _layers(outline, melanin=melanin, blood=blood, white=white)


def vascular_lesion(canvas: Canvas, rng: np.random.Generator) -> LesionLayers:
    """Draw a vascular lesion: well-demarcated red, purple or black lacunae between pale septa."""
    outline = draw_outline(
        canvas, rng, radius=(0.16, 0.3), irregularity=rng.uniform(0.03, 0.08), roughness=0.04
    )
    cover = outline.cover(0.08)
    spacing = outline.radius * rng.uniform(0.32, 0.5)
    points, chance = packed(canvas, rng, outline, spacing, depth=0.1)
    radii = spacing * (0.3 + 0.28 * chance[0])
    fill = 0.5 + 0.5 * chance[1]
    lacunae = canvas.blur(canvas.discs(points, radii, fill), 0.006) * cover
    lacunae *= 1 + np.float32(0.3) * canvas.noise(rng, 12, octaves=2)
    blood = np.float32(0.8) * cover + lacunae * np.float32(2.2)
    dark = canvas.discs(points, radii * 0.9, (chance[2] < rng.uniform(0, 0.3)) * fill)
    dark = canvas.blur(dark, 0.012) * cover
    melanin = np.float32(0.08) * cover + dark * np.float32(rng.uniform(0.3, 1.2))
    white = (cover - lacunae) * np.float32(rng.uniform(0.1, 0.3))
    return _layers(outline, melanin=melanin, blood=blood, veil=dark * 0.35, white=white)


PATTERNS: dict[str, Pattern] = {
    "melanoma": melanoma,
    "nevus": nevus,
    "seborrheic_keratosis": seborrheic_keratosis,
    "actinic_keratosis": actinic_keratosis,
    "basal_cell_carcinoma": basal_cell_carcinoma,
    "benign_keratosis": benign_keratosis,
    "dermatofibroma": dermatofibroma,
    "vascular_lesion": vascular_lesion,
}
"""Class name -> function that draws it."""
