"""Low frequencies of thumbnails, of the whole and of its crops, in all orientations.

A crop, its enlargement to the full size and a cosine transform are all linear and act on rows and
columns alike: together they are one matrix from each side. A mirrored cosine of odd frequency
changes its sign, so turning an image permutes its spectrum and changes signs.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.thumbnails import THUMBNAIL_SIZE_PX

Spectra = npt.NDArray[np.float32]

# Transpose, upside down, mirrored: all eight positions of a square.
ORIENTATIONS = tuple(itertools.product((False, True), repeat=3))
# The fractions of a side that a crop lacks at its beginning and at its end.
Cut = tuple[float, float]
WHOLE: Cut = (0.0, 0.0)


def oriented(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn a square image to one of its eight `ORIENTATIONS`."""
    transpose, upside_down, mirror = ORIENTATIONS[orientation]
    turned = image.T if transpose else image
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def spectra(
    thumbnails: npt.NDArray[np.uint8],
    frequencies: int,
    cuts: Sequence[Cut] = (WHOLE,),
    *,
    whitened: bool = True,
) -> Spectra:
    """Compute low frequencies of crops of thumbnails, each spectrum of norm 1.

    Frequency 0 is left out, since a vignette fills it. The spectrum of a blank image is 0.

    Args:
        thumbnails: uint8 `(count, 64, 64)`.
        frequencies: number of frequencies along each side.
        cuts: what a crop may lack of its rows, and of its columns; all combinations are made.
        whitened: weight each frequency by its length. Spectra of photographs fall off about so
            fast, and otherwise the lesion's size and place, the lowest ones, decide alone.

    Returns:
        float32 `(count, crops, frequencies**2)`; the first crops share the first cut of rows.
    """
    pixels = thumbnails.astype(np.float32)
    transforms = [_transform(frequencies, cut) for cut in cuts]
    beside = [pixels @ transform.T for transform in transforms]
    views = [above @ half for above in transforms for half in beside]
    found = np.stack(views, axis=1).reshape(len(thumbnails), len(views), frequencies**2)
    if whitened:
        each = np.arange(1, frequencies + 1, dtype=np.float32)
        found *= np.hypot(each[:, np.newaxis], each).ravel()
    norms = np.linalg.norm(found, axis=-1, keepdims=True)
    found /= np.maximum(norms, np.float32(1e-3))
    return found


@functools.cache
def _transform(frequencies: int, cut: Cut) -> npt.NDArray[np.float32]:
    """Make the matrix `(frequencies, 64)` of a crop, its linear enlargement and its transform."""
    size = THUMBNAIL_SIZE_PX
    first, last = cut
    places = (size - 1) * first + (1 - first - last) * np.arange(size)
    left = np.minimum(places.astype(int), size - 2)
    enlarge = np.zeros((size, size))
    enlarge[np.arange(size), left] = 1 - (places - left)
    enlarge[np.arange(size), left + 1] = places - left
    waves = np.arange(1, frequencies + 1)[:, np.newaxis] * (2 * np.arange(size) + 1)
    return (np.cos(np.pi * waves / (2 * size)) @ enlarge).astype(np.float32)


@functools.cache
def turns(frequencies: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return what `ORIENTATIONS` do to a flat spectrum: where each value comes from, and its sign.

    Returns:
        Two arrays `(8, frequencies**2)`.
    """
    places = np.arange(frequencies**2).reshape(frequencies, frequencies)
    odd = np.where(np.arange(1, frequencies + 1) % 2, -1.0, 1.0)
    sources, signs = [], []
    for transpose, upside_down, mirror in ORIENTATIONS:
        sources.append((places.T if transpose else places).ravel())
        down = odd[:, np.newaxis] if upside_down else np.ones((frequencies, 1))
        signs.append((down * (odd if mirror else np.ones(frequencies))).ravel())
    return np.array(sources), np.array(signs, np.float32)
