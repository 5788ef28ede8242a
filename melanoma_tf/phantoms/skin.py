"""The skin around a phantom lesion, the light on it, and the colours of the lesion's layers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.phantoms.canvas import Canvas, Field, smooth_step
from melanoma_tf.phantoms.lesions import LesionLayers
from melanoma_tf.phantoms.structures import furrows

Colours = npt.NDArray[np.float32]
"""R, G and B per pixel, (3, height, width) float32, about [0, 1].

Channels come first: NumPy's inner loops then run over whole planes, several times faster.
"""

# Absorption of red, green and blue light by one unit of each pigment, rough shapes of the
# measured spectra: melanin takes blue most, haemoglobin green.
_MELANIN = np.array([0.76, 1.14, 1.65], np.float32)
_BLOOD = np.array([0.2, 1.15, 0.85], np.float32)
# Pigment near the surface looks more yellow-brown, deeper more grey; by up to this much.
_MELANIN_DEPTH = np.array([0.12, 0.0, -0.3], np.float32)
_TONE = np.array([0.98, 0.86, 0.78], np.float32)
_VEIL = np.array([0.44, 0.49, 0.6], np.float32)
_WHITE = np.array([0.97, 0.92, 0.84], np.float32)


@dataclass(frozen=True)
class Light:
    """The effect of the dermoscope and its camera on a scene.

    Attributes:
        brightness: factor per pixel, (height, width); 0 in dark corners.
        noise: sensor noise to add, (height, width), in units of full brightness.
        gains: factor per channel (white balance), (3,).
    """

    brightness: Field
    noise: Field
    gains: npt.NDArray[np.float32]

    def photograph(self, scene: Colours) -> npt.NDArray[np.uint8]:
        """Photograph a scene, (height, width, 3) uint8 RGB."""
        planes = [
            cv2.convertScaleAbs(np.maximum(plane * self.brightness + self.noise, 0), None, gain)
            for plane, gain in zip(scene, (self.gains * 255).tolist())
        ]
        picture: npt.NDArray[np.uint8] = cv2.merge(planes)
        return picture


def draw_light(canvas: Canvas, rng: np.random.Generator, *, dark_corners: bool) -> Light:
    """Draw uneven light, a vignette, white balance, sensor noise and, optionally, dark corners."""
    x, y = canvas.coordinates()
    radius = cv2.magnitude(x, y)
    brightness = np.float32(rng.uniform(0.88, 1.05)) + np.float32(0.05) * canvas.noise(rng, 1.5)
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
    noise = np.float32(rng.uniform(0.004, 0.012)) * canvas.noise(rng, 220)
    return Light(brightness, noise, gains)


def draw_skin(canvas: Canvas, rng: np.random.Generator) -> Colours:
    """Draw the skin of one patient: tone, mottling, skin lines and sometimes freckles."""
    melanin = np.float32(0.5 * rng.beta(1.3, 4.0)) + np.float32(0.03) * canvas.noise(rng, 6, 4)
    blood = np.float32(rng.uniform(0.0, 0.24)) + np.float32(rng.uniform(0.03, 0.07)) * canvas.noise(
        rng, rng.uniform(6, 14), octaves=3
    )
    count = int(rng.integers(1, 9)) if rng.random() < 0.4 else 0
    places = rng.uniform(-0.5, 0.5, (count, 2)) * np.array(canvas.half) * 2
    freckles = canvas.discs(places, rng.uniform(0.008, 0.022, count), rng.uniform(0.3, 1, count))
    if count:
        melanin += canvas.blur(freckles, 0.007) * np.float32(0.25)
    skin = _absorb(melanin, blood, _MELANIN)
    skin *= skin_lines(canvas, rng, rng.uniform(0.015, 0.06))
    skin *= _TONE[:, None, None]
    return skin


def skin_lines(canvas: Canvas, rng: np.random.Generator, depth: float) -> Field:
    """Draw the brightness of fine furrows lit from one side; 1 is flat, `depth` the change."""
    height = canvas.noise(rng, rng.uniform(34, 48), octaves=2)
    lines = furrows(canvas, rng, cells=rng.uniform(30, 42), width=0.25)
    height -= lines
    turn = rng.uniform(0, 2 * np.pi)
    # Slopes per scene unit, so that the relief is as deep at every size.
    scale = np.float32(canvas.unit / 8 / 70)
    slope = np.float32(np.cos(turn)) * cv2.Sobel(height, cv2.CV_32F, 1, 0) * scale
    slope += np.float32(np.sin(turn)) * cv2.Sobel(height, cv2.CV_32F, 0, 1) * scale
    brightness: Field = 1 + np.float32(depth) * (np.tanh(slope) - np.float32(0.5) * lines)
    return brightness


def add_lesion(skin: Colours, lesion: LesionLayers) -> Colours:
    """Add a lesion to the skin."""
    scene = skin * _absorb(lesion.melanin, lesion.blood, _MELANIN + lesion.depth * _MELANIN_DEPTH)
    for opacity, colour in ((lesion.veil, _VEIL), (lesion.white, _WHITE)):
        scene *= 1 - opacity
        scene += opacity * colour[:, None, None]
    scene *= lesion.relief
    return scene


def _absorb(melanin: Field, blood: Field, melanin_spectrum: npt.NDArray[np.float32]) -> Colours:
    """Compute the fraction of each colour's light that is reflected (Beer and Lambert)."""
    depth = melanin * -melanin_spectrum[:, None, None]
    depth -= blood * _BLOOD[:, None, None]
    return np.exp(depth, out=depth)
