"""Comparison of two thumbnails by pixel, after aligning them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.candidates import Candidate
from melanoma_tf.records.build.spectra import Cut, oriented
from melanoma_tf.records.build.thumbnails import THUMBNAIL_SIZE_PX, Thumbnail

_Grey = npt.NDArray[np.float32]

# Corners may move by this fraction of the side: crops, small shifts and turns. The more distortion
# is allowed, the better two different lesions can be aligned.
_LARGEST_SHIFT = 0.1
# The edge, which a crop may have removed, is not compared.
_MARGIN_PX = 5
# Fine details are compared, not the dark blob on bright skin that all lesions share; they are
# clipped at a few times their median size, so that the blob's outline does not dominate.
_FINE_SCALES_PX = (1.0, 2.5)
_CLIP_AT_MEDIANS = 3.0
# Coarser details agree before the alignment already, except in hopeless cases.
_COARSE_SCALES_PX = (1.0, 5.0)
_LEAST_UNALIGNED = 0.7
_ITERATIONS = 20
_PRECISION = 1e-4
_BLUR_PX = 5


def similarity(pair: tuple[Candidate, Thumbnail, Thumbnail]) -> float:
    """Compute the correlation of the fine details of two thumbnails after aligning them.

    The affine map that maximises their correlation (Evangelidis and Psarakis 2008) aligns them,
    starting from the candidate's orientation and crop.

    Args:
        pair: a candidate, and the thumbnails of its whole and of its part.

    Returns:
        -1 to 1; 0 if no small map aligns them.
    """
    candidate, first, second = pair
    turned = oriented(second, candidate.orientation)
    if np.array_equal(first, turned):
        return 1.0
    whole, part = first.astype(np.float32), turned.astype(np.float32)
    start = _crop_warp(candidate.rows, candidate.columns)
    unaligned = _details(_moved(whole, start), _COARSE_SCALES_PX)
    if _correlation(_details(part, _COARSE_SCALES_PX), unaligned) < _LEAST_UNALIGNED:
        return 0.0
    warp = _align(part, whole, start)
    if warp is None:
        return 0.0
    aligned = _details(_moved(whole, warp), _FINE_SCALES_PX)
    return _correlation(_clipped(_details(part, _FINE_SCALES_PX)), _clipped(aligned))


def _crop_warp(rows: Cut, columns: Cut) -> _Grey:
    """Compute the map `(2, 3)` from the pixels of a crop to those of the whole."""
    edge = THUMBNAIL_SIZE_PX - 1
    (top, bottom), (left, right) = rows, columns
    return np.array(
        [[1 - left - right, 0, edge * left], [0, 1 - top - bottom, edge * top]], np.float32
    )


def _moved(whole: _Grey, warp: _Grey) -> _Grey:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        whole, warp, whole.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return moved.astype(np.float32)


def _align(part: _Grey, whole: _Grey, start: _Grey) -> _Grey | None:
    """Find the map from pixels of `part` to those of `whole`, None if no small one fits."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _PRECISION)
    try:
        _, found = cv2.findTransformECC(
            part, whole, start.copy(), cv2.MOTION_AFFINE, criteria, None, _BLUR_PX
        )
    except cv2.error:
        # It diverged: the two have nothing in common.
        return None
    edge = THUMBNAIL_SIZE_PX - 1
    corners = np.array([[0, 0, 1], [edge, 0, 1], [0, edge, 1], [edge, edge, 1]], np.float32)
    moves = corners @ found.T - corners[:, :2]
    if not np.all(np.abs(moves) <= _LARGEST_SHIFT * THUMBNAIL_SIZE_PX):
        return None
    return found.astype(np.float32)


def _details(grey: _Grey, scales_px: tuple[float, float]) -> _Grey:
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), scale) for scale in scales_px)
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return (fine - coarse)[inner, inner].astype(np.float32)


def _clipped(details: _Grey) -> _Grey:
    limit = _CLIP_AT_MEDIANS * float(np.median(np.abs(details)))
    return np.clip(details, -limit, limit).astype(np.float32)


def _correlation(left: _Grey, right: _Grey) -> float:
    left, right = left - left.mean(), right - right.mean()
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float((left * right).sum()) / norm if norm > 0 else 0.0
