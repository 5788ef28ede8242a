"""The classical purification with OpenCV, for offline work on one image: faster than the graph.

The steps are those of `occlusion`; values are held in 8 bits, which is what the speed comes from.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.images.occlusion_settings import (
    LEAST_SIDE_PX,
    WORKING_SIZE_PX,
    OcclusionSettings,
    StrokeSettings,
    directions,
)

Pixels = npt.NDArray[np.uint8]


def find_occlusions(
    image: Pixels, lesion: Pixels | None = None, settings: OcclusionSettings | None = None
) -> Pixels:
    """The occlusion mask of an image of working size.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        lesion: uint8 `(height, width)`, not 0 on the lesion.
        settings: thresholds.

    Returns:
        uint8 `(height, width)`, 0 or 255.
    """
    settings = settings or OcclusionSettings()
    density, per_level = _density(image, settings)
    weights = np.array([settings.channel_weights], np.float32)
    weighted = cv2.GaussianBlur(cv2.transform(density, weights / weights.sum()), (3, 3), 0)
    dark = np.maximum(*(_dark_bars(weighted, distance) for distance in settings.bar_distances_px))
    red, green, blue = cv2.split(image)
    darkest = cv2.GaussianBlur(cv2.min(cv2.min(red, green), blue), (3, 3), 0)
    light = _dark_bars(cv2.bitwise_not(darkest), settings.bar_distances_px[0])
    # Density grows as the image darkens: a dark stroke is a light bar of the density's negative.
    mask = _strokes(dark, settings.dark, settings, per_level)
    mask |= _strokes(light, settings.light, settings, 1 / 255)
    mask |= _marks(density, lesion, settings, per_level)
    return mask


def _density(image: Pixels, settings: OcclusionSettings) -> tuple[Pixels, float]:
    """255 minus the optical density in 8 bits, and how much density one level stands for."""
    floor = settings.density_floor
    values = np.log(np.arange(256) / 255.0 + floor)
    span = values[-1] - values[0]
    table = np.rint((values - values[0]) / span * 255).astype(np.uint8)
    return cv2.LUT(image, table), span / 255


def _dark_bars(plane: Pixels, distance: int) -> Pixels:
    """By how much both neighbours at a distance are brighter, in the best of four directions."""
    height, width = plane.shape
    border = cv2.copyMakeBorder(plane, *[distance] * 4, cv2.BORDER_REPLICATE)
    diagonal = round(distance * math.sqrt(0.5))
    best = np.zeros_like(plane)
    for rows, columns in ((0, distance), (distance, 0), (diagonal,) * 2, (diagonal, -diagonal)):
        one = _window(border, distance, (rows, columns), height, width)
        other = _window(border, distance, (-rows, -columns), height, width)
        cv2.max(best, cv2.min(one, other), dst=best)
    return cv2.subtract(best, plane)


def _window(
    padded: Pixels, margin: int, offset: tuple[int, int], height: int, width: int
) -> Pixels:
    top, left = margin + offset[0], margin + offset[1]
    return padded[top : top + height, left : left + width]


def _halved(plane: Pixels) -> Pixels:
    height, width = plane.shape[:2]
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    halved = (plane.shape[1] // 2, plane.shape[0] // 2)
    return cv2.resize(plane, halved, interpolation=cv2.INTER_AREA)


def _doubled(mask: Pixels, height: int, width: int) -> Pixels:
    size = (mask.shape[1] * 2, mask.shape[0] * 2)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)[:height, :width]


def _strokes(
    bars: Pixels, stroke: StrokeSettings, settings: OcclusionSettings, per_level: float
) -> Pixels:
    """Pixels of bars that lie on lines, 255."""
    contrast = np.arange(256) * per_level
    lines = None
    for length, saturation, threshold in zip(
        settings.line_lengths_px, stroke.saturation, stroke.line_threshold
    ):
        table = np.rint(255 * contrast / (contrast + saturation)).astype(np.uint8)
        found = _lines(_halved(cv2.LUT(bars, table)), length, round(255 * threshold), settings)
        lines = found if lines is None else lines | found
    near = cv2.dilate(_doubled(lines, *bars.shape), np.ones((3, 3), np.uint8))
    bars = cv2.bitwise_and(bars, near)
    peak = cv2.dilate(bars, np.ones((7, 7), np.uint8))
    least = cv2.LUT(
        peak,
        np.maximum(
            stroke.faintest / per_level, stroke.share_of_peak * np.arange(256)
        ).clip(0, 255).astype(np.uint8),
    )  # fmt: skip
    return cv2.compare(bars, least, cv2.CMP_GT)


def _lines(plane: Pixels, length: float, threshold: int, settings: OcclusionSettings) -> Pixels:
    """Where straight lines of some length run, 255."""
    height, width = plane.shape
    found = np.zeros_like(plane)
    weights = (settings.strongest_rival, 1 - settings.strongest_rival)
    inner = math.ceil(length / 8) + 1
    outer = inner + math.ceil(settings.rival_distance_px / 2) + 1
    padded = cv2.copyMakeBorder(plane, *[outer] * 4, cv2.BORDER_REPLICATE)
    tall, wide = height + 2 * inner, width + 2 * inner
    for direction in directions(settings, length):
        mean = cv2.filter2D(padded, -1, direction.kernel, borderType=cv2.BORDER_REPLICATE)
        margin = outer - inner
        (rows, columns) = direction.rival
        one = _window(mean, margin, (rows, columns), tall, wide)
        other = _window(mean, margin, (-rows, -columns), tall, wide)
        if settings.strongest_rival == 0.5:
            rival = cv2.addWeighted(one, 0.5, other, 0.5, 0)
        else:
            rival = cv2.addWeighted(
                cv2.max(one, other), weights[0], cv2.min(one, other), weights[1], 0
            )
        contrast = cv2.subtract(_window(mean, margin, (0, 0), tall, wide), rival)
        rows, columns = direction.halves
        both = cv2.min(
            _window(contrast, inner, (rows, columns), height, width),
            _window(contrast, inner, (-rows, -columns), height, width),
        )
        hit = cv2.compare(both, threshold, cv2.CMP_GT)
        if cv2.countNonZero(hit):
            cv2.max(found, _prolonged(hit, direction.steps), dst=found)
    return found


def _prolonged(hit: Pixels, steps: tuple[tuple[int, int], ...]) -> Pixels:
    height, width = hit.shape
    for rows, columns in steps:
        margin = max(abs(rows), abs(columns))
        padded = cv2.copyMakeBorder(hit, *[margin] * 4, cv2.BORDER_CONSTANT)
        one = _window(padded, margin, (rows, columns), height, width)
        other = _window(padded, margin, (-rows, -columns), height, width)
        hit = cv2.max(cv2.max(hit, one), other)
    return hit


def _marks(
    density: Pixels, lesion: Pixels | None, settings: OcclusionSettings, per_level: float
) -> Pixels:
    """Small marks on bare skin that absorb red light: ink, digits, short ticks. 255."""
    small = _halved(density)
    red, blue = np.ascontiguousarray(small[..., 0]), np.ascontiguousarray(small[..., 2])
    size = settings.mark_size_px // 2 | 1
    element = np.ones((size, size), np.uint8)
    skin = cv2.morphologyEx(red, cv2.MORPH_CLOSE, element)
    red_contrast = cv2.subtract(skin, red)
    blue_contrast = cv2.subtract(cv2.morphologyEx(blue, cv2.MORPH_CLOSE, element), blue)
    grid = (max(1, red.shape[1] // 8), max(1, red.shape[0] // 8))
    samples = np.sort(cv2.resize(red, grid, interpolation=cv2.INTER_AREA), axis=None)
    brightest = int(samples[int((1 - settings.skin_quantile) * (samples.size - 1))])
    bare = skin > brightest - settings.skin_tolerance / per_level
    if lesion is not None:
        bare &= _halved(lesion) == 0
    core = bare & (red_contrast > settings.mark_contrast / per_level)
    core &= red_contrast > settings.mark_redness * blue_contrast.astype(np.float32)
    if not core.any():
        return np.zeros(density.shape[:2], np.uint8)
    near = cv2.dilate(core.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    edge = settings.mark_edge * settings.mark_contrast / per_level
    mask = np.where(near & bare & (red_contrast > edge), np.uint8(255), np.uint8(0))
    return _doubled(mask, *density.shape[:2])


def fill(image: Pixels, hole: Pixels) -> Pixels:
    """Fill holes smoothly from what is around them: pull averages up a pyramid, push them down.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        hole: uint8 `(height, width)`, 255 where the image is unknown.

    Returns:
        uint8 `(height, width, 3)`, equal to `image` outside the holes.
    """
    height, width = hole.shape
    known = cv2.bitwise_not(hole)
    seen = cv2.merge([*cv2.split(cv2.bitwise_and(image, image, mask=known)), known])
    levels = [_halved_zero(seen.astype(np.float32))]
    while max(levels[-1].shape[:2]) > 2:
        levels.append(_halved_zero(levels[-1]))
    filled = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-3) * 255
    for level in levels[-2::-1]:
        rows, columns = level.shape[:2]
        size = (filled.shape[1] * 2, filled.shape[0] * 2)
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        weight = level[..., 3:]
        filled = np.where(weight > 0.5, level[..., :3] * (255 / np.maximum(weight, 0.5)), coarse)
    size = (filled.shape[1] * 2, filled.shape[0] * 2)
    fine = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
    result = image.copy()
    cv2.copyTo(np.rint(fine).clip(0, 255).astype(np.uint8), hole, result)
    return result


def _halved_zero(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = plane.shape[:2]
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
    halved = (plane.shape[1] // 2, plane.shape[0] // 2)
    return cv2.resize(plane, halved, interpolation=cv2.INTER_AREA)


def working_size(height: int, width: int) -> tuple[int, int]:
    """Height and width that an image is brought to before occlusions are looked for."""
    scale = WORKING_SIZE_PX / max(height, width)
    return (
        max(LEAST_SIDE_PX, math.floor(height * scale + 0.5)),
        max(LEAST_SIDE_PX, math.floor(width * scale + 0.5)),
    )
