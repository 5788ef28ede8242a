"""Sliced Wasserstein distance between the patches of generated and of real images.

Karras et al. 2018, Section 5: patches of 7x7 pixels at every level of a Laplacian pyramid, from the
images' size down to 16 px. It needs no trained network, and so no weights of other images. Other
than there, both sides are normalised by the real patches' mean and deviation: each by its own
would hide a difference of colour.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError

_PATCH_PX = 7
_SMALLEST_LEVEL_PX = 16
# As in the paper, distances are shown in thousandths.
SCALE = 1000.0

Floats = npt.NDArray[np.float64]


def sliced_wasserstein(
    real: npt.NDArray[np.uint8],
    generated: npt.NDArray[np.uint8],
    *,
    patches_per_image: int = 128,
    projections: int = 256,
    seed: int = 0,
) -> dict[int, float]:
    """The sliced Wasserstein distance between two sets of images, by level.

    Args:
        real: `(images, size, size, 3)` RGB, the size a multiple of 16 by a power of 2.
        generated: the same for other images, of which there may be more or fewer.
        patches_per_image: drawn from every image and level.
        projections: directions on which distances are taken and averaged.
        seed: of patches and directions.

    Returns:
        By side of the level in pixels, the largest first: the mean distance in thousandths of a
        standard deviation of real patches.

    Raises:
        MelanomaError: no images, images of different sizes, or of less than 16 px.
    """
    if real.ndim != 4 or real.shape[1:] != generated.shape[1:] or not len(real) * len(generated):
        raise MelanomaError(
            f"expected two sets of images of one size; found {real.shape} and {generated.shape}"
        )
    if real.shape[1] < _SMALLEST_LEVEL_PX:
        raise MelanomaError(
            f"expected images of {_SMALLEST_LEVEL_PX} px or more; found {real.shape[1]}"
        )
    distances = {}
    for ours, theirs in zip(_pyramid(real), _pyramid(generated)):
        size = ours.shape[1]
        random = np.random.default_rng([seed, size])
        first = _patches(ours, patches_per_image, random)
        second = _patches(theirs, patches_per_image, random)
        mean, deviation = first.mean((0, 1)), first.std((0, 1)) + 1e-8
        flat = [((each - mean) / deviation).reshape(len(each), -1) for each in (first, second)]
        directions = random.normal(size=(flat[0].shape[1], projections))
        directions /= np.linalg.norm(directions, axis=0)
        distances[size] = SCALE * wasserstein(flat[0] @ directions, flat[1] @ directions)
    return distances


def wasserstein(first: Floats, second: Floats) -> float:
    """Mean over columns of the Wasserstein distance between two samples on a line.

    Args:
        first: `(samples, columns)`.
        second: the same with as many columns; where it has more or fewer samples, the quantiles of
            both are taken at as many places as the larger has samples.
    """
    first, second = np.sort(first, axis=0), np.sort(second, axis=0)
    if len(first) != len(second):
        count = max(len(first), len(second))
        first, second = _quantiles(first, count), _quantiles(second, count)
    return float(np.abs(first - second).mean())


def _quantiles(ordered: Floats, count: int) -> Floats:
    """Values of the empirical distribution in the middle of `count` equal parts."""
    places = ((np.arange(count) + 0.5) / count * len(ordered)).astype(int)
    return ordered[places]


def _pyramid(images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    levels = []
    now = images.astype(np.float32) / 127.5 - 1.0
    while now.shape[1] // 2 >= _SMALLEST_LEVEL_PX:
        smaller = np.stack([cv2.pyrDown(each) for each in now])
        size = (now.shape[2], now.shape[1])
        levels.append(now - np.stack([cv2.pyrUp(each, dstsize=size) for each in smaller]))
        now = smaller
    return [*levels, now]


def _patches(images: npt.NDArray[np.float32], count: int, random: np.random.Generator) -> Floats:
    """`(images * count, 49, 3)`."""
    windows = np.lib.stride_tricks.sliding_window_view(
        images,
        (_PATCH_PX, _PATCH_PX),
        axis=(1, 2),  # type: ignore[call-overload, unused-ignore]
    )
    which = np.repeat(np.arange(len(images)), count)
    rows = random.integers(0, windows.shape[1], len(which))
    columns = random.integers(0, windows.shape[2], len(which))
    chosen = windows[which, rows, columns]
    return chosen.transpose(0, 2, 3, 1).reshape(len(which), -1, images.shape[-1]).astype(float)
