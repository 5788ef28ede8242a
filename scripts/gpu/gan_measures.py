"""How near generated images are to real ones, how different from each other, and sheets of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from melanoma_tf.evaluation.metrics.sliced_wasserstein import sliced_wasserstein
from melanoma_tf.generation.nearest_neighbours import nearest

COMPARED = 128
PERCENTILE = 1.0


def diversity(images: np.ndarray) -> float:
    """Mean squared difference of two of the images, pixels in [0, 1]."""
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    return float(2 * pixels.var(axis=0, ddof=1).mean())


@dataclass(frozen=True)
class Reference:
    """Real images of a class, and what is known of them.

    Attributes:
        training: uint8 `(images, size, size, 3)`.
        compared: some of them, to which distances are taken.
        diversity: of the training images.
        least: first percentile of the distances to their nearest other.
        floor: sliced Wasserstein distance between two parts of the training images.
        minimal_mse: mean distance to their nearest other.
    """

    training: np.ndarray
    compared: np.ndarray
    diversity: float
    least: float
    floor: float
    minimal_mse: float

    @classmethod
    def of(cls, training: np.ndarray) -> Reference:
        order = np.random.default_rng(0).permutation(len(training))
        half = min(COMPARED, len(training) // 2)
        first, second = training[order[:half]], training[order[half : 2 * half]]
        found = nearest(training, [training], own_places=np.arange(len(training))).distance
        found = found[found > 0]
        return cls(
            training,
            first,
            diversity(training),
            float(np.percentile(found, PERCENTILE)),
            distance(first, second),
            float(found.mean()),
        )


def distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Sliced Wasserstein distance, the mean of all levels; coarse, but quick."""
    levels = sliced_wasserstein(real, generated, patches_per_image=64, projections=96)
    return float(np.mean(list(levels.values())))


def measures(generated: np.ndarray, reference: Reference) -> dict[str, float]:
    """Compare generated images of a class with the real ones.

    Returns:
        `swd`; `diversity`, over the real images'; `near_duplicates`, the fraction of generated
        images whose nearest other lies nearer than the first percentile of real ones; `copies`,
        the same to real images; `minimal_mse` and its deviation, as in Bisla et al. 2019.
    """
    others = nearest(generated, [generated], own_places=np.arange(len(generated))).distance
    real = nearest(generated, [reference.training]).distance
    return {
        "swd": distance(reference.compared, generated),
        "diversity": diversity(generated) / reference.diversity,
        "near_duplicates": float((others < reference.least).mean()),
        "copies": float((real < reference.least).mean()),
        "minimal_mse": float(real.mean()),
        "minimal_mse_deviation": float(real.std()),
    }


def sheet(rows: list[tuple[str, list[np.ndarray]]], tile_px: int) -> np.ndarray:
    """Rows of images, each below its title: uint8 RGB."""
    columns = max(len(images) for _, images in rows)
    strips = []
    for title, images in rows:
        strip = np.full((tile_px + 18, columns * tile_px, 3), 255, np.uint8)
        cv2.putText(strip, title, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1)
        for index, image in enumerate(images):
            tile = cv2.resize(image, (tile_px, tile_px), interpolation=cv2.INTER_AREA)
            strip[18:, index * tile_px : (index + 1) * tile_px] = tile
        strips.append(strip)
    return np.concatenate(strips)
