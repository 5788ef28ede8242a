"""Find occlusions in the graph: hairs, ticks and rims by their lines, ink by its colour.

Every function here takes images of the working size (`occlusion_settings.WORKING_SIZE_PX`).
`occlusion_opencv` goes through the same steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from melanoma_tf.images.geometry import halve, height_width, pad_with_edge, repeat_twice, window
from melanoma_tf.images.morphology import close, dilate
from melanoma_tf.purification.classical.bubbles_graph import find_discs
from melanoma_tf.purification.classical.lines import Direction, directions, margin
from melanoma_tf.purification.classical.rulers_graph import find_ticks
from melanoma_tf.purification.classical.settings import OcclusionSettings, StrokeSettings


def find_occlusions(
    images: tf.Tensor, lesions: tf.Tensor | None, settings: OcclusionSettings
) -> tf.Tensor:
    """Mask of what lies over the skin.

    Args:
        images: float32 RGB `(batch, height, width, 3)` in [0, 1], of working size.
        lesions: float32 `(batch, height, width, 1)`, above 0 on the lesion, or None.
        settings: thresholds.

    Returns:
        float32 `(batch, height, width, 1)`, 0 or 1.
    """
    # The negative of optical density: like the image itself, it is small where it is dark.
    brightness = tf.math.log(images + settings.density_floor)
    weighted = _weighted(brightness, settings)
    thin, wide = settings.bar_distances_px
    thin_bars = _dark_bars(weighted, thin)
    dark = tf.maximum(_strongest(thin_bars), _strongest(_dark_bars(weighted, wide)))
    darkest = _darkest(images)
    light = _strongest(_dark_bars(1.0 - darkest, thin))
    around = _surroundings(brightness, settings)
    found = tf.maximum(
        _strokes(dark, settings.dark, around, settings),
        _strokes(light, settings.light, around, settings),
    )
    found = tf.maximum(found, _rulers(_strongest(thin_bars), around, settings))
    found = tf.maximum(found, _bubbles(thin_bars, darkest, around, settings))
    return tf.maximum(found[..., None], _marks(around, lesions, settings, height_width(images)))


def find_rulers_and_bubbles(images: tf.Tensor, settings: OcclusionSettings) -> tf.Tensor:
    """Mask of the ticks of rulers and of bubbles; arguments and result as `find_occlusions`."""
    brightness = tf.math.log(images + settings.density_floor)
    bars = _dark_bars(_weighted(brightness, settings), settings.bar_distances_px[0])
    around = _surroundings(brightness, settings)
    ticks = _rulers(_strongest(bars), around, settings)
    return tf.maximum(ticks, _bubbles(bars, _darkest(images), around, settings))[..., None]


def _darkest(images: tf.Tensor) -> tf.Tensor:
    """The darkest channel, `(batch, height, width)`."""
    return _blur(tf.reduce_min(images, axis=-1))


def _weighted(brightness: tf.Tensor, settings: OcclusionSettings) -> tf.Tensor:
    """The brightness in which dark strokes are searched, `(batch, height, width)`."""
    weights = np.array(settings.channel_weights, np.float32)
    return _blur(tf.tensordot(brightness, tf.constant(weights / weights.sum()), axes=1))


def _blur(planes: tf.Tensor) -> tf.Tensor:
    """The weights 1 2 1 along rows and columns."""
    padded = pad_with_edge(planes, 1)
    rows = (padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]) / 4.0
    return (rows[:, :, :-2] + 2.0 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4.0


def _dark_bars(planes: tf.Tensor, distance_px: int) -> list[tf.Tensor]:
    """By how much both neighbours at a distance are brighter, in each of four directions.

    A hair is such a bar, a border between dark and bright is none: one side of it is dark.
    """
    padded = pad_with_edge(planes, distance_px)
    diagonal = round(distance_px * math.sqrt(0.5))
    bars = []
    for row, column in ((0, distance_px), (diagonal,) * 2, (distance_px, 0), (diagonal, -diagonal)):
        one = window(padded, distance_px, (row, column))
        other = window(padded, distance_px, (-row, -column))
        bars.append(tf.nn.relu(tf.minimum(one, other) - planes))
    return bars


def _strongest(bars: list[tf.Tensor]) -> tf.Tensor:
    """The contrast of bars in the best direction."""
    return tf.maximum(tf.maximum(bars[0], bars[1]), tf.maximum(bars[2], bars[3]))


def _strokes(
    bars: tf.Tensor, stroke: StrokeSettings, around: _Surroundings, settings: OcclusionSettings
) -> tf.Tensor:
    """Pixels of bars that lie on lines: float32 `(batch, height, width)`, 0 or 1."""
    lines = None
    for which, (saturation, threshold) in enumerate(zip(stroke.saturation, stroke.line_threshold)):
        if threshold >= 1.0:
            continue
        saturated = halve((bars / (bars + saturation))[..., None])
        thresholds = threshold * around.caution + settings.clutter_caution * _clutter(saturated)
        found = _lines(saturated, thresholds, directions(settings, which))
        lines = found if lines is None else tf.maximum(lines, found)
    near = dilate(tf.cast(lines, tf.float32)[..., None], 3)[..., 0]
    return _bar_pixels(bars, near, stroke.faintest, stroke.fraction_of_peak)


def _rulers(bars: tf.Tensor, around: _Surroundings, settings: OcclusionSettings) -> tf.Tensor:
    """Pixels of bars that are ticks of a ruler: float32 `(batch, height, width)`, 0 or 1."""
    ruler = settings.ruler
    saturated = halve((bars / (bars + ruler.saturation))[..., None])
    thresholds = ruler.threshold * around.caution + ruler.clutter_caution * _clutter(saturated)
    near = dilate(find_ticks(saturated, thresholds, ruler)[..., None], 7)[..., 0]
    return _bar_pixels(bars, near, ruler.faintest, ruler.fraction_of_peak)


def _bubbles(
    bars: list[tf.Tensor], darkest: tf.Tensor, around: _Surroundings, settings: OcclusionSettings
) -> tf.Tensor:
    """Pixels of bubbles, with all that they cover: float32 `(batch, height, width)`, 0 or 1."""
    bubble, small = settings.bubble, halve(darkest[..., None])
    bright = small > _skin_brightness(small, settings)
    saturated = [halve((each / (each + bubble.saturation))[..., None]) for each in bars]
    clutter = bubble.clutter_caution * _clutter(_strongest(saturated))
    thresholds = bubble.threshold * around.caution + clutter
    planes = [each[..., 0] for each in saturated]
    discs = find_discs(planes, thresholds, bright[..., 0], bubble)
    return repeat_twice(discs, *height_width(darkest))


def _bar_pixels(
    bars: tf.Tensor, near: tf.Tensor, faintest: float, fraction_of_peak: float
) -> tf.Tensor:
    """Pixels of bars near what was found at half the size: float32, 0 or 1."""
    bars = bars * repeat_twice(near, *height_width(bars))
    peaks = dilate(bars[..., None], 7)[..., 0]
    return tf.cast(bars > tf.maximum(faintest, fraction_of_peak * peaks), tf.float32)


def _clutter(saturated: tf.Tensor) -> tf.Tensor:
    """Mean over about 48 pixels of the working size: `(batch, height, width)` like its input."""
    blocks = pad_with_edge(_block_means(saturated), 1)
    means = tf.nn.avg_pool2d(blocks, 3, 1, "VALID")
    return tf.image.resize(means, height_width(saturated), method="bilinear")[..., 0]


def _block_means(planes: tf.Tensor) -> tf.Tensor:
    """Means of whole blocks of 8x8 pixels."""
    return tf.nn.avg_pool2d(planes, 8, 8, "VALID")


def _lines(planes: tf.Tensor, thresholds: tf.Tensor, lines: tuple[Direction, ...]) -> tf.Tensor:
    """Mask of straight lines, both halves of which differ from the parallel lines.

    That is what tells a hair from a mesh of pigment, whose threads bend and end sooner, and from
    dots and globules, which fill no line.

    Args:
        planes: float32 `(batch, height, width, 1)` in [0, 1], at half the working size.
        thresholds: float32 `(batch, height, width)`.
        lines: of one length, in all directions.

    Returns:
        uint8 `(batch, height, width)`, 0 or 1.
    """
    kernel, radius = _stacked(lines)
    outer = margin(lines)
    means = tf.nn.conv2d(pad_with_edge(planes, outer + radius), kernel, 1, "VALID")
    means = tf.transpose(means, [3, 0, 1, 2])
    moves = tf.constant([[line.rival, line.halves, *line.steps] for line in lines])
    taken = tf.reduce_max(tf.abs(moves), axis=(0, 2))
    thresholds = pad_with_edge(thresholds, tf.reduce_sum(taken[2:]))

    def add(index: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hits = _hits(means[index], moves[index], taken, thresholds)
        return index + 1, tf.maximum(found, hits)

    # A loop, though its length is known: unrolled, the graph would take seconds longer to build.
    _, found = tf.while_loop(
        lambda index, _: index < len(lines),
        add,
        (0, tf.zeros(tf.shape(planes)[:3], tf.uint8)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None] * 3)),
    )
    return found


def _hits(mean: tf.Tensor, moves: tf.Tensor, taken: tf.Tensor, least: tf.Tensor) -> tf.Tensor:
    """Pixels on lines of one direction.

    Args:
        mean: of half a line around each pixel, `(batch, height, width)` with margins.
        moves: int32 `(moves, 2)`, to the rival, to the halves, then the steps.
        taken: int32 `(moves,)`, the margin that each move removes from every side.
        least: the thresholds, with the margins of the steps.
    """
    one, other = _both(mean, taken[0], moves[0])
    contrast = _cut(mean, taken[0], tf.constant([0, 0])) - 0.5 * (one + other)
    hits = tf.cast(tf.minimum(*_both(contrast, taken[1], moves[1])) > least, tf.uint8)
    for index in range(2, moves.shape[0]):
        one, other = _both(hits, taken[index], moves[index])
        hits = tf.maximum(tf.maximum(one, other), _cut(hits, taken[index], tf.constant([0, 0])))
    return hits


def _both(planes: tf.Tensor, taken: tf.Tensor, move: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Values at a move to the one side, and to the other; a margin is removed."""
    return _cut(planes, taken, move), _cut(planes, taken, -move)


def _cut(planes: tf.Tensor, taken: tf.Tensor, move: tf.Tensor) -> tf.Tensor:
    begin = tf.concat([[0], taken + move], axis=0)
    return tf.slice(planes, begin, tf.shape(planes) - taken * tf.constant([0, 2, 2]))


def _stacked(lines: tuple[Direction, ...]) -> tuple[tf.Tensor, int]:
    """All directions' kernels as one filter `(side, side, 1, directions)`, and its radius."""
    radius = max(max(line.kernel.shape) // 2 for line in lines)
    filters = np.zeros((2 * radius + 1, 2 * radius + 1, 1, len(lines)), np.float32)
    for index, line in enumerate(lines):
        rows, columns = (side // 2 for side in line.kernel.shape)
        filters[
            radius - rows : radius + rows + 1, radius - columns : radius + columns + 1, 0, index
        ] = line.kernel
    return tf.constant(filters), radius


class _Surroundings(NamedTuple):
    """Skin without its small marks; all at half the working size, float32.

    Attributes:
        contrast: `(batch, height, width, 2)`, by how much closing raises red and blue brightness.
        darker: `(batch, height, width, 1)`, by how much they are denser than bare skin.
        caution: `(batch, height, width)`, factor on the line thresholds.
    """

    contrast: tf.Tensor
    darker: tf.Tensor
    caution: tf.Tensor


def _surroundings(brightness: tf.Tensor, settings: OcclusionSettings) -> _Surroundings:
    small = halve(tf.stack([brightness[..., 0], brightness[..., 2]], axis=-1))
    closed = close(small, settings.mark_size_px // 2 | 1)
    darker = _skin_brightness(small[..., :1], settings) - closed[..., :1]
    caution = 1.0 + settings.lesion_caution * tf.maximum(darker[..., 0], 0.0)
    return _Surroundings(closed - small, darker, caution)


def _marks(
    around: _Surroundings,
    lesions: tf.Tensor | None,
    settings: OcclusionSettings,
    size: tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    """Small marks on bare skin that absorb red light: ink, digits, short ticks.

    Args:
        around: what the skin looks like.
        lesions: `(batch, height, width, 1)`, above 0 on the lesion; no mark is sought there.
        settings: thresholds.
        size: height and width of the result.

    Returns:
        float32 `(batch, height, width, 1)`, 0 or 1.
    """
    red_contrast, blue_contrast = tf.split(around.contrast, 2, axis=-1)
    bare = around.darker < settings.skin_tolerance
    if lesions is not None:
        bare = tf.logical_and(bare, halve(lesions) <= 0.0)
    strong = tf.logical_and(
        red_contrast > settings.mark_contrast,
        red_contrast > settings.mark_redness * blue_contrast,
    )
    core = tf.cast(tf.logical_and(bare, strong), tf.float32)
    edge = red_contrast > settings.mark_edge * settings.mark_contrast
    near = dilate(core, 5) > 0.0
    mask = tf.cast(tf.logical_and(tf.logical_and(bare, edge), near), tf.float32)
    return repeat_twice(mask[..., 0], *size)[..., None]


def _skin_brightness(planes: tf.Tensor, settings: OcclusionSettings) -> tf.Tensor:
    """Brightness of bare skin per image, `(batch, 1, 1, 1)`: a high quantile of block means."""
    values = tf.sort(tf.reshape(_block_means(planes), [tf.shape(planes)[0], -1]), axis=-1)
    last = tf.cast(tf.shape(values)[1] - 1, tf.float32)
    place = tf.cast((1.0 - settings.skin_quantile) * last, tf.int32)
    return tf.gather(values, place, axis=1)[:, None, None, None]
