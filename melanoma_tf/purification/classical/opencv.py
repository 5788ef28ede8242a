"""The classical purification with OpenCV, for offline work on one image: faster than the graph.

The steps are those of `occlusion`; values are held in 8 bits, which is what the speed comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.purification.classical import planes
from melanoma_tf.purification.classical.bubbles_opencv import find_discs
from melanoma_tf.purification.classical.lines import Direction, directions, margin
from melanoma_tf.purification.classical.rulers_opencv import find_ticks
from melanoma_tf.purification.classical.settings import (
    LEAST_SIDE_PX,
    WORKING_SIZE_PX,
    OcclusionSettings,
    StrokeSettings,
)

Pixels = npt.NDArray[np.uint8]


def purify_image(
    image: Pixels, lesion_mask: Pixels | None = None, settings: OcclusionSettings | None = None
) -> tuple[Pixels, Pixels]:
    """`occlusion.purify` with `method="classical"` for one image.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        lesion_mask: `(height, width)`, not 0 on the lesion.
        settings: thresholds.

    Returns:
        The purified image, uint8 `(height, width, 3)`, and its occlusion mask, uint8
        `(height, width)`, 0 or 255. They differ from the graph's by its rounding.

    Raises:
        MelanomaError: another shape or dtype.
    """
    _check(image, lesion_mask)
    settings = settings or OcclusionSettings()
    own_size = (image.shape[0], image.shape[1])
    working = _working_size(*own_size)
    lesion = None if lesion_mask is None else _resized(_binary(lesion_mask), working)
    occlusions = find_occlusions(_resized(image, working), lesion, settings)
    fill_size = working if max(own_size) > WORKING_SIZE_PX else own_size
    if working != fill_size:
        occlusions = _above_half(_resized(occlusions, fill_size))
    holes = cv2.dilate(occlusions, np.ones((3, 3), np.uint8))
    if holes.all():
        return image.copy(), np.zeros(own_size, np.uint8)
    filled = _fill(_resized(image, fill_size), holes)
    if fill_size == own_size:
        return filled, occlusions
    opacity = _resized(holes, own_size).astype(np.float32)[..., None] / 255
    blended = image + opacity * (_resized(filled, own_size).astype(np.float32) - image)
    occlusions = _above_half(_resized(occlusions, own_size))
    return np.rint(blended).astype(np.uint8), occlusions


def _above_half(mask: Pixels) -> Pixels:
    # Not cv2.compare, which takes a mask of one pixel for a scalar.
    return np.where(mask > 127, np.uint8(255), np.uint8(0))


def _check(image: Pixels, lesion_mask: Pixels | None) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise MelanomaError(
            f"expected a uint8 image of shape (height, width, 3); "
            f"found {image.dtype} of shape {image.shape}"
        )
    if lesion_mask is not None and lesion_mask.shape != image.shape[:2]:
        raise MelanomaError(
            f"expected a lesion mask of shape {image.shape[:2]}, as the image; "
            f"found {lesion_mask.shape}"
        )


def _binary(lesion_mask: Pixels) -> Pixels:
    return np.where(lesion_mask != 0, np.uint8(255), np.uint8(0))


def _working_size(height: int, width: int) -> tuple[int, int]:
    scale = WORKING_SIZE_PX / max(height, width)
    return (
        max(LEAST_SIDE_PX, math.floor(height * scale + 0.5)),
        max(LEAST_SIDE_PX, math.floor(width * scale + 0.5)),
    )


def _resized(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """As `geometry.resize`: halved while twice too large, then interpolated."""
    while plane.shape[0] >= 2 * size[0] and plane.shape[1] >= 2 * size[1]:
        plane = planes.halved(plane)
    if plane.shape[:2] == size:
        return plane
    return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)


def find_occlusions(image: Pixels, lesion: Pixels | None, settings: OcclusionSettings) -> Pixels:
    """The occlusion mask of an image of working size.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        lesion: uint8 `(height, width)`, not 0 on the lesion.
        settings: thresholds.

    Returns:
        uint8 `(height, width)`, 0 or 255.
    """
    density, per_level = _density(image, settings)
    weights = np.array([settings.channel_weights], np.float32)
    weighted = _blur(cv2.transform(density, weights / weights.sum()))
    thin, wide = settings.bar_distances_px
    thin_bars = _dark_bars(weighted, thin)
    dark = cv2.max(_strongest(thin_bars), _strongest(_dark_bars(weighted, wide)))
    red, green, blue = cv2.split(image)
    darkest = _blur(cv2.min(cv2.min(red, green), blue))
    light = _strongest(_dark_bars(cv2.bitwise_not(darkest), thin))
    # Density grows as the image darkens: a dark stroke is a light bar of the density's negative.
    surroundings = _surroundings(density, settings, per_level)
    mask = _strokes(dark, settings.dark, settings, per_level, surroundings)
    mask |= _strokes(light, settings.light, settings, 1 / 255, surroundings)
    mask |= _rulers(_strongest(thin_bars), settings, per_level, surroundings)
    mask |= _bubbles(thin_bars, darkest, settings, per_level, surroundings)
    mask |= _marks(surroundings, lesion, settings, per_level, (image.shape[0], image.shape[1]))
    return mask


def _density(image: Pixels, settings: OcclusionSettings) -> tuple[Pixels, float]:
    """255 minus the optical density in 8 bits, and how much density one level stands for."""
    floor = settings.density_floor
    values = np.log(np.arange(256) / 255.0 + floor)
    span = values[-1] - values[0]
    table = np.rint((values - values[0]) / span * 255).astype(np.uint8)
    return cv2.LUT(image, table), span / 255


def _blur(plane: Pixels) -> Pixels:
    return cv2.GaussianBlur(plane, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)


def _dark_bars(plane: Pixels, distance: int) -> list[Pixels]:
    """By how much both neighbours at a distance are brighter, in each of four directions."""
    padded = planes.padded(plane, distance)
    diagonal = round(distance * math.sqrt(0.5))
    moves = ((0, distance), (diagonal, diagonal), (distance, 0), (diagonal, -diagonal))
    return [cv2.subtract(cv2.min(*planes.both(padded, distance, move)), plane) for move in moves]


def _strongest(bars: list[Pixels]) -> Pixels:
    """The contrast of bars in the best direction."""
    return cv2.max(cv2.max(bars[0], bars[1]), cv2.max(bars[2], bars[3]))


def _strokes(
    bars: Pixels,
    stroke: StrokeSettings,
    settings: OcclusionSettings,
    per_level: float,
    surroundings: _Surroundings,
) -> Pixels:
    """Pixels of bars that lie on lines, 255."""
    lines = np.zeros(surroundings.darker.shape, np.uint8)
    for which, (saturation, threshold) in enumerate(zip(stroke.saturation, stroke.line_threshold)):
        if threshold >= 1.0:
            continue
        saturated = _saturated(bars, saturation, per_level)
        thresholds = _thresholds(saturated, threshold, settings.clutter_caution, surroundings)
        lines |= _lines(saturated, thresholds, directions(settings, which))
    near = cv2.dilate(lines, np.ones((3, 3), np.uint8))
    return _bar_pixels(bars, near, stroke.faintest / per_level, stroke.fraction_of_peak)


def _rulers(
    bars: Pixels, settings: OcclusionSettings, per_level: float, surroundings: _Surroundings
) -> Pixels:
    """Pixels of bars that are ticks of a ruler, 255."""
    ruler = settings.ruler
    saturated = _saturated(bars, ruler.saturation, per_level)
    thresholds = _thresholds(saturated, ruler.threshold, ruler.clutter_caution, surroundings)
    near = cv2.dilate(find_ticks(saturated, thresholds, ruler), np.ones((7, 7), np.uint8))
    return _bar_pixels(bars, near, ruler.faintest / per_level, ruler.fraction_of_peak)


def _bubbles(
    bars: list[Pixels],
    darkest: Pixels,
    settings: OcclusionSettings,
    per_level: float,
    surroundings: _Surroundings,
) -> Pixels:
    """Pixels of bubbles, with all that they cover, 255."""
    bubble, small = settings.bubble, planes.halved(darkest)
    bright = cv2.compare(small, _brightest(small, settings), cv2.CMP_GT)
    saturated = [_saturated(each, bubble.saturation, per_level) for each in bars]
    strongest = _strongest(saturated)
    thresholds = _thresholds(strongest, bubble.threshold, bubble.clutter_caution, surroundings)
    discs = find_discs(saturated, thresholds, bright, bubble)
    return planes.doubled(discs, *darkest.shape)


def _saturated(bars: Pixels, saturation: float, per_level: float) -> Pixels:
    """Saturated contrast at half the working size; larger contrasts add ever less."""
    contrast = np.arange(256) * per_level
    table = np.rint(255 * contrast / (contrast + saturation)).astype(np.uint8)
    return planes.halved(cv2.LUT(bars, table))


def _thresholds(
    saturated: Pixels, threshold: float, clutter_caution: float, surroundings: _Surroundings
) -> Pixels:
    """Least contrast of a line: higher on pigment, and where contrast is dense all around."""
    clutter = cv2.resize(
        cv2.blur(planes.block_means(saturated).astype(np.float32), (3, 3)),
        saturated.shape[::-1],
        interpolation=cv2.INTER_LINEAR,
    )
    caution = surroundings.caution
    return cv2.convertScaleAbs(
        cv2.addWeighted(caution, 255 * threshold, clutter, clutter_caution, 0)
    )


def _bar_pixels(bars: Pixels, near: Pixels, faintest: float, fraction_of_peak: float) -> Pixels:
    """Pixels of bars near what was found at half the size, 255."""
    bars = cv2.bitwise_and(bars, planes.doubled(near, *bars.shape))
    peak = cv2.dilate(bars, np.ones((7, 7), np.uint8))
    levels = np.maximum(faintest, fraction_of_peak * np.arange(256))
    least = cv2.LUT(peak, levels.clip(0, 255).astype(np.uint8))
    return cv2.compare(bars, least, cv2.CMP_GT)


def _lines(plane: Pixels, thresholds: Pixels, lines: tuple[Direction, ...]) -> Pixels:
    """Mark straight lines, 255."""
    found = np.zeros_like(plane)
    outer = margin(lines)
    padded = planes.padded(plane, outer)
    least = planes.padded(thresholds, outer)
    for line in lines:
        mean = cv2.filter2D(padded, -1, line.kernel, borderType=cv2.BORDER_REPLICATE)
        mean = planes.window(mean, outer - sum(line.margins()), (0, 0))
        rival, halves, *steps = line.margins()
        one, other = planes.both(mean, rival, line.rival)
        beside = cv2.addWeighted(one, 0.5, other, 0.5, 0)
        contrast = cv2.subtract(planes.window(mean, rival, (0, 0)), beside)
        weaker = cv2.min(*planes.both(contrast, halves, line.halves))
        hits = cv2.compare(weaker, planes.window(least, outer - sum(steps), (0, 0)), cv2.CMP_GT)
        if not cv2.countNonZero(hits):
            continue
        for taken, step in zip(steps, line.steps):
            hits = cv2.max(
                cv2.max(*planes.both(hits, taken, step)), planes.window(hits, taken, (0, 0))
            )
        cv2.max(found, hits, dst=found)
    return found


@dataclass(frozen=True)
class _Surroundings:
    """Estimate the skin without its small marks, at half the working size.

    Attributes:
        red_contrast: by how much closing raises the brightness of red light.
        blue_contrast: the same in blue light.
        darker: by how much the surroundings are denser than bare skin, in optical density.
        caution: factor on the line thresholds.
    """

    red_contrast: Pixels
    blue_contrast: Pixels
    darker: npt.NDArray[np.float32]
    caution: npt.NDArray[np.float32]


def _surroundings(density: Pixels, settings: OcclusionSettings, per_level: float) -> _Surroundings:
    small = planes.halved(density)
    red, blue = cv2.extractChannel(small, 0), cv2.extractChannel(small, 2)
    element = np.ones([settings.mark_size_px // 2 | 1] * 2, np.uint8)
    skin = cv2.morphologyEx(red, cv2.MORPH_CLOSE, element)
    blue_skin = cv2.morphologyEx(blue, cv2.MORPH_CLOSE, element)
    brightest = _brightest(red, settings)
    darker = cv2.multiply(cv2.subtract(brightest, skin, dtype=cv2.CV_32F), per_level)
    caution = np.maximum(darker, 0) * np.float32(settings.lesion_caution) + 1
    return _Surroundings(cv2.subtract(skin, red), cv2.subtract(blue_skin, blue), darker, caution)


def _brightest(plane: Pixels, settings: OcclusionSettings) -> float:
    """Brightness of bare skin: a high quantile of block means."""
    samples = np.sort(planes.block_means(plane), axis=None)
    return float(samples[int((1 - settings.skin_quantile) * (samples.size - 1))])


def _marks(
    surroundings: _Surroundings,
    lesion: Pixels | None,
    settings: OcclusionSettings,
    per_level: float,
    size: tuple[int, int],
) -> Pixels:
    """Small marks on bare skin that absorb red light: ink, digits, short ticks. 255."""
    red = surroundings.red_contrast
    bare = surroundings.darker < settings.skin_tolerance
    if lesion is not None:
        bare &= planes.halved(lesion) == 0
    core = bare & (red > settings.mark_contrast / per_level)
    core &= red > settings.mark_redness * surroundings.blue_contrast.astype(np.float32)
    if not core.any():
        return np.zeros(size, np.uint8)
    near = cv2.dilate(core.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    edge = settings.mark_edge * settings.mark_contrast / per_level
    mask = np.where(near & bare & (red > edge), np.uint8(255), np.uint8(0))
    return planes.doubled(mask, *size)


def _fill(image: Pixels, hole: Pixels) -> Pixels:
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
    levels = [planes.halved(seen.astype(np.float32))]
    while max(levels[-1].shape[:2]) > 2:
        levels.append(planes.halved(levels[-1]))
    filled = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-6) * 255
    for level in levels[-2::-1]:
        rows, columns = level.shape[:2]
        size = (filled.shape[1] * 2, filled.shape[0] * 2)
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        weight = level[..., 3:]
        own = level[..., :3] * (255 / np.maximum(weight, 1e-6))
        filled = np.where(weight > 1e-6, own, coarse)
    size = (filled.shape[1] * 2, filled.shape[0] * 2)
    fine = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
    result = image.copy()
    cv2.copyTo(np.rint(fine).clip(0, 255).astype(np.uint8), hole, result)
    return result
