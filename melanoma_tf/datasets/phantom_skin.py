"""The skin around a phantom lesion, the light on it, and how a lesion's layers colour it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.datasets.phantom_canvas import Canvas, Field, smooth_step
from melanoma_tf.datasets.phantom_lesions import LesionLayers
from melanoma_tf.datasets.phantom_structures import network

Colours = npt.NDArray[np.float32]
"""RGB per pixel, (height, width, 3) float32, about [0, 1]."""

# Absorption of red, green and blue light by one unit of each pigment, rough shapes of the
# measured spectra: melanin takes blue most, haemoglobin green.
_MELANIN = np.array([0.72, 1.2, 1.75], np.float32)
_BLOOD = np.array([0.22, 1.15, 0.85], np.float32)
_VEIL = np.array([0.42, 0.47, 0.6], np.float32)
_WHITE = np.array([0.97, 0.92, 0.84], np.float32)


@dataclass(frozen=True)
class Light:
    """What the dermoscope and its camera do to a scene.

    Attributes:
        brightness: factor per pixel, (height, width); 0 in dark corners.
        noise: sensor noise to add, (height, width).
        gains: factor per channel (white balance), (3,).
    """

    brightness: Field
    noise: Field
    gains: npt.NDArray[np.float32]

    def photograph(self, scene: Colours) -> npt.NDArray[np.uint8]:
        """The picture of a scene, (height, width, 3) uint8 RGB."""
        lit = scene * (self.brightness[..., None] * (self.gains * np.float32(255)))
        lit += self.noise[..., None]
        picture: npt.NDArray[np.uint8] = np.clip(lit, 0, 255).astype(np.uint8)
        return picture


def draw_light(canvas: Canvas, rng: np.random.Generator, *, dark_corners: bool) -> Light:
    """Uneven light, a vignette, white balance, sensor noise; and dark corners where asked."""
    x, y = canvas.coordinates()
    radius = cv2.magnitude(x, y)
    brightness = np.float32(rng.uniform(0.86, 1.02)) + np.float32(0.05) * canvas.noise(rng, 1.5)
    brightness += (
        np.float32(rng.uniform(-0.08, 0.08)) * x + np.float32(rng.uniform(-0.08, 0.08)) * y
    )
    brightness -= np.float32(rng.uniform(0.05, 0.4)) * radius * radius
    edge, blur = rng.uniform(0.54, 0.62), rng.uniform(0.01, 0.05)
    shift = rng.uniform(-0.015, 0.015, 2).astype(np.float32)
    if dark_corners:
        off_centre = cv2.magnitude(x - shift[0], y - shift[1])
        brightness *= np.float32(0.02) + np.float32(0.98) * smooth_step(
            off_centre, edge + blur, edge - blur
        )
    gains = np.array([1.0, rng.uniform(0.93, 1.06), rng.uniform(0.86, 1.2)], np.float32)
    noise = np.float32(rng.uniform(1, 3)) * canvas.noise(rng, 220)
    return Light(brightness, noise, gains)


def draw_skin(canvas: Canvas, rng: np.random.Generator) -> Colours:
    """Skin of one patient: tone, mottling, skin lines, and a few freckles on some."""
    tone = np.array([0.97, 0.83, 0.74], np.float32)
    melanin = rng.beta(1.2, 4.0) * 0.7 + np.float32(0.02) * canvas.noise(rng, 7, octaves=3)
    blood = rng.uniform(0.0, 0.28) + np.float32(rng.uniform(0.02, 0.07)) * canvas.noise(
        rng, rng.uniform(5, 12), octaves=3
    )
    lines = network(canvas, rng, spacing=rng.uniform(0.022, 0.04), irregularity=1.3, thickness=0.35)
    strength = rng.uniform(0.0, 0.05) * (1 + 0.6 * canvas.noise(rng, 3))
    melanin += lines * np.float32(strength)
    count = int(rng.integers(0, 9)) if rng.random() < 0.4 else 0
    places = rng.uniform(-0.5, 0.5, (count, 2)) * np.array(canvas.half) * 2
    freckles = canvas.discs(places, rng.uniform(0.008, 0.022, count), rng.uniform(0.3, 1, count))
    melanin += canvas.blur(freckles, 0.006) * np.float32(0.22)
    return tone * _absorb(melanin, blood)


def add_lesion(skin: Colours, lesion: LesionLayers) -> Colours:
    """The skin with a lesion in it."""
    scene = skin * _absorb(lesion.melanin, lesion.blood)
    scene += lesion.veil[..., None] * (_VEIL - scene)
    scene += lesion.white[..., None] * (_WHITE - scene)
    scene *= lesion.relief[..., None]
    return scene


def _absorb(melanin: Field, blood: Field) -> Colours:
    """The share of each colour's light that comes back (Beer and Lambert)."""
    depth = melanin[..., None] * -_MELANIN
    depth -= blood[..., None] * _BLOOD
    return np.exp(depth, out=depth)
