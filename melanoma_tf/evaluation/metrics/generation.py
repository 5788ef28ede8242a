"""Quality of generated images in the feature space of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.spatial.distance import cdist

from melanoma_tf.core.errors import MelanomaError

Floats = npt.NDArray[np.float64]


def frechet_distance(real: Floats, generated: Floats) -> float:
    """The Frechet distance of two Gaussians fitted to features (Heusel et al. 2017).

    Args:
        real: `(images, features)`.
        generated: the same for other images.

    Raises:
        MelanomaError: fewer than two images on a side, or other features.
    """
    _check(real, generated)
    gap = real.mean(axis=0) - generated.mean(axis=0)
    ours, theirs = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (real, generated))
    # The trace of the root of a product: its eigenvalues are those of a symmetric matrix.
    root = _root(ours)
    shared = np.sqrt(np.clip(linalg.eigvalsh(root @ theirs @ root), 0.0, None)).sum()
    return float(gap @ gap + np.trace(ours) + np.trace(theirs) - 2.0 * shared)


def _root(matrix: Floats) -> Floats:
    values, vectors = linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def kernel_distance(real: Floats, generated: Floats) -> float:
    """The unbiased squared maximum mean discrepancy by (x.y / d + 1)^3 (Binkowski et al. 2018).

    Unlike the Frechet distance it has no bias at small numbers of images; it may be below 0.

    Args:
        real: `(images, features)`.
        generated: the same for other images.

    Raises:
        MelanomaError: fewer than two images on a side, or other features.
    """
    _check(real, generated)
    within = [_mean_off_diagonal(_kernel(each, each)) for each in (real, generated)]
    return float(sum(within) - 2.0 * _kernel(real, generated).mean())


def _kernel(first: Floats, second: Floats) -> Floats:
    return (first @ second.T / first.shape[1] + 1.0) ** 3


def _mean_off_diagonal(matrix: Floats) -> float:
    count = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))


def precision_and_recall(
    real: Floats, generated: Floats, *, neighbours: int = 3
) -> tuple[float, float]:
    """Fraction of each side within the other's manifold (Kynkaanniemi et al. 2019).

    A manifold is the union of balls around its points that reach to their third nearest neighbour.

    Args:
        real: `(images, features)`.
        generated: the same for other images.
        neighbours: to which the balls reach.

    Returns:
        Precision: generated images among real ones. Recall: real images among generated ones.

    Raises:
        MelanomaError: no more images on a side than neighbours, or other features.
    """
    _check(real, generated, least=neighbours + 1)
    between = cdist(real, generated)
    reach = [np.sort(cdist(each, each), axis=1)[:, neighbours] for each in (real, generated)]
    precision = (between <= reach[0][:, np.newaxis]).any(axis=0).mean()
    recall = (between <= reach[1][np.newaxis]).any(axis=1).mean()
    return float(precision), float(recall)


def _check(real: Floats, generated: Floats, least: int = 2) -> None:
    if min(len(real), len(generated)) < least or real.shape[1:] != generated.shape[1:]:
        raise MelanomaError(
            f"expected features of at least {least} images on both sides; "
            f"found {real.shape} and {generated.shape}"
        )
