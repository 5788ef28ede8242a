"""Fraction of a saliency map on a region, and fraction of the image that the region covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from melanoma_tf.evaluation.metrics.bootstrap import percentile_interval, resamples


@dataclass(frozen=True)
class Attention:
    """Fractions of one image within a region.

    Attributes:
        area_fraction: of the image's area, in [0, 1].
        saliency_fraction: of its saliency, in [0, 1]; NaN where there is no saliency at all.
    """

    area_fraction: float
    saliency_fraction: float

    @property
    def ratio(self) -> float:
        """Above 1 where the network looks at the region rather than elsewhere; NaN of no region."""
        return self.saliency_fraction / self.area_fraction if self.area_fraction else float("nan")


def attention(saliency: np.ndarray, region: np.ndarray) -> Attention:
    """Compute the fractions of a region.

    Args:
        saliency: float `(height, width)`, not negative.
        region: float of the same shape, the covered fraction of each pixel.
    """
    weights = np.asarray(saliency, np.float64)
    covered = np.asarray(region, np.float64)
    total = float(weights.sum())
    on_it = float((weights * covered).sum())
    return Attention(float(covered.mean()), on_it / total if total else float("nan"))


def mean_attention(
    each: list[Attention | None], *, rounds: int = 1000, seed: int = 0
) -> dict[str, Any] | None:
    """The mean over the images that have the region and any saliency.

    Args:
        each: per image; None where it is not known whether it has the region.
        rounds: of the bootstrap over images.
        seed: of the bootstrap.

    Returns:
        `images` (their number), `area_fraction` and `saliency_fraction` (means), `ratio` of the two
        means, and `interval`, 95 %, of the ratio: `low` and `high`, None for fewer than two
        images. None where no image has the region.
    """
    counted = [
        one for one in each if one and one.area_fraction and not np.isnan(one.saliency_fraction)
    ]
    if not counted:
        return None
    area = np.array([one.area_fraction for one in counted])
    saliency = np.array([one.saliency_fraction for one in counted])
    interval = None
    if len(counted) > 1:
        blocks = resamples(np.arange(len(counted)), rounds, seed)
        ratios = [(block @ saliency) / (block @ area) for block in blocks]
        limits = percentile_interval(np.concatenate(ratios))
        interval = limits and {"low": limits[0], "high": limits[1], "method": "bootstrap"}
    return {
        "images": len(counted),
        "area_fraction": float(area.mean()),
        "saliency_fraction": float(saliency.mean()),
        "ratio": float(saliency.mean() / area.mean()),
        "interval": interval,
    }
