"""Thresholds of the classical purification.

Both implementations, the TensorFlow graph and OpenCV, read this file, so that they cannot drift
apart.
"""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("classical", "bisla2019")
# Occlusions are found and filled by networks.
NETWORK = "network"
# Lengths below are in pixels of an image whose long side has this many. Images of every size are
# scaled to it before anything is searched, so that no setting depends on the image's size.
WORKING_SIZE_PX = 512
# The other side has at least this many pixels, so that the longest line still fits.
LEAST_SIDE_PX = 32


@dataclass(frozen=True)
class StrokeSettings:
    """When something thin counts as a hair, a tick or a rim.

    Attributes:
        saturation: contrast at which a pixel counts half; larger contrasts add ever less, so that
            one black dot does not look like a line. Per length of line.
        line_threshold: how much darker (brighter) than its surroundings a line has to be on
            average, of 1. Per length of line; a length whose threshold is 1 is left out.
        faintest: least contrast of a pixel of the mask.
        fraction_of_peak: least contrast of a pixel of the mask, over the largest nearby.
    """

    saturation: tuple[float, float]
    line_threshold: tuple[float, float]
    faintest: float
    fraction_of_peak: float


@dataclass(frozen=True)
class RulerSettings:
    """When short parallel strokes in a row are the ticks of a ruler.

    Attributes:
        saturation: see `StrokeSettings`.
        threshold: by how much a tick has to stand out from the skin at its sides, of 1.
        clutter_caution: as in `OcclusionSettings`, for ticks: they stand on plain skin.
        tick_length_px: of the shortest ticks.
        directions: number of directions over half a turn.
        spacings_px: least and greatest distance of two ticks.
        fraction_of_strongest: least strength of a tick, over that of the best direction there.
        most_between: number of places halfway between five ticks where there may be another one.
        faintest, fraction_of_peak: see `StrokeSettings`.
    """

    saturation: float = 0.2
    threshold: float = 0.09
    clutter_caution: float = 1.5
    tick_length_px: float = 10.0
    directions: int = 12
    spacings_px: tuple[float, float] = (12.0, 52.0)
    fraction_of_strongest: float = 0.8
    most_between: int = 1
    faintest: float = 0.04
    fraction_of_peak: float = 0.4


@dataclass(frozen=True)
class BubbleSettings:
    """When a round rim is that of a bubble.

    Attributes:
        saturation: see `StrokeSettings`.
        threshold: by how much every point of the rim has to be darker than both of its sides, of 1.
        clutter_caution: as in `OcclusionSettings`.
        radii_px: least and greatest radius.
    """

    saturation: float = 0.2
    threshold: float = 0.06
    clutter_caution: float = 1.5
    radii_px: tuple[float, float] = (6.0, 40.0)


@dataclass(frozen=True)
class OcclusionSettings:
    """The thresholds of the classical purification.

    Densities are optical: -log(value + `density_floor`) of a colour value in [0, 1]. Melanin and
    blood hardly absorb red light; hair, ink and print do. Hence the weights.

    Attributes:
        density_floor: keeps the noise of nearly black pixels small.
        channel_weights: of the red, green and blue density in which dark strokes are searched.
        bar_distances_px: distances to the brighter neighbours of a pixel of a dark stroke; light
            strokes use the first alone.
        line_lengths_px: of the long and the short line.
        rival_distance_px: distance to the parallel lines that a line is compared with.
        directions: number of directions over half a turn, per length of line.
        reach: by how much of a line's length a line that was found is prolonged to both sides.
        lesion_caution: by how much the line thresholds grow per unit of optical density by which
            the surroundings are denser than bare skin; pigment has lines of its own.
        clutter_caution: by how much they grow per unit of mean (saturated) contrast around: a mesh
            is dense with threads of all directions, a hair has bare skin on both sides.
        dark: hairs, ticks, digits; contrast in optical density.
        light: light hairs and rims of bubbles; contrast in colour value.
        ruler: ticks, fainter than a single stroke has to be.
        bubble: round rims, fainter than a single stroke has to be.
        mark_size_px: marks (ink, digits) are thinner than this.
        mark_contrast: least contrast of a mark's core in red density.
        mark_edge: least contrast of its edge, as a fraction of the core's.
        mark_redness: least contrast in red as a fraction of that in blue; pigment stays below it.
        skin_quantile: fraction of the image that is assumed to be bare skin, the brightest.
        skin_tolerance: how much denser than that the surroundings of a mark may be.
    """

    density_floor: float = 0.1
    channel_weights: tuple[float, float, float] = (1.0, 0.0, -0.2)
    bar_distances_px: tuple[int, int] = (4, 6)
    line_lengths_px: tuple[float, float] = (42.0, 18.0)
    rival_distance_px: float = 8.0
    directions: tuple[int, int] = (10, 6)
    reach: float = 0.4
    lesion_caution: float = 1.2
    clutter_caution: float = 0.4
    dark: StrokeSettings = StrokeSettings((0.2, 0.35), (0.13, 0.18), 0.06, 0.35)
    light: StrokeSettings = StrokeSettings((0.25, 0.25), (1.0, 0.17), 0.05, 0.40)
    ruler: RulerSettings = RulerSettings()
    bubble: BubbleSettings = BubbleSettings()
    mark_size_px: int = 26
    mark_contrast: float = 0.45
    mark_edge: float = 0.7
    mark_redness: float = 0.9
    skin_quantile: float = 0.05
    skin_tolerance: float = 0.25
