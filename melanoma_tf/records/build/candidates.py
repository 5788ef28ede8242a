"""Candidate pairs of thumbnails that may show one picture, found by their low frequencies.

Up to some tens of thousands of images all pairs are compared, by matrix products; beyond that,
`hash_index` proposes pairs. Both are then compared with crops of the first image, first by few
frequencies and at last by many. `same_picture` compares what is left by pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.hash_index import HashIndex
from melanoma_tf.records.build.spectra import Cut, Spectra, spectra, turns
from melanoma_tf.records.build.threads import map_in_threads
from melanoma_tf.records.build.thumbnails import Thumbnail, Thumbnails

_Indices = npt.NDArray[np.int64]

# All pairs of this many images take a few seconds; time grows with the square.
MOST_COMPARED = 40_000
_FREQUENCIES = 8
_MANY_FREQUENCIES = 16
# The first comparison is with a crop in the middle of all that are looked for.
_MIDDLE: Cut = (0.02, 0.02)
_LEAST_AT_FIRST = 0.85
# Copies may lack up to this fraction at either end of rows and columns; smaller crops lie between.
_CUTS: tuple[Cut, ...] = ((0.0, 0.0), (0.04, 0.04), (0.04, 0.0), (0.0, 0.04))
# Of 250 copies of each kind in `scripts/benchmarks/duplicates.py` the least alike have 0.95 and
# 0.86; of 2.3 million pairs of different images 40 are above both.
_LEAST_BY_VIEW = 0.93
_LEAST_BY_MANY = 0.85
# Many near copies of one picture are connected by some of their pairs.
_MOST_PER_IMAGE = 64
_WHOLES_PER_BLOCK, _PARTS_PER_BLOCK, _PAIRS_PER_STEP = 256, 1024, 1024


@dataclass(frozen=True, order=True)
class Candidate:
    """Two thumbnails that may show one picture, and the position of the second in the first.

    Attributes:
        whole: index of the image that may have been cropped.
        part: index of the image that may be its crop.
        orientation: index in `ORIENTATIONS` that turns `part` to match `whole`.
        rows, columns: fractions of the sides of `whole` that `part` may lack, at their beginning
            and end.
        correlation: correlation of their frequencies, -1 to 1.
    """

    whole: int
    part: int
    orientation: int
    rows: Cut
    columns: Cut
    correlation: float


def find_candidates(thumbnails: Thumbnails, *, workers: int = 1) -> list[Candidate]:
    """Find the pairs of thumbnails with similar frequencies, in the best orientation and crop.

    Args:
        thumbnails: uint8 `(count, 64, 64)`; a blank one is like no other.
        workers: number of threads.

    Returns:
        One candidate per pair of images, sorted. They nearly always include copies that differ by
        size, JPEG quality, mirroring, quarter turns and up to 4 % of crop
        (`scripts/benchmarks/duplicates.py` measures it).
    """
    if len(thumbnails) < 2:
        return []
    parts = np.concatenate([spectra(block, _FREQUENCIES)[:, 0] for _, block in _blocks(thumbnails)])
    index = HashIndex(thumbnails) if len(thumbnails) > MOST_COMPARED else None
    best: dict[tuple[int, int], Candidate] = {}
    search = functools.partial(_in_block, parts=parts, index=index)
    for candidates in map_in_threads(search, _blocks(thumbnails), workers=workers):
        for found in candidates:
            pair = (min(found.whole, found.part), max(found.whole, found.part))
            so_far = best.get(pair)
            if so_far is None or _rank(found) < _rank(so_far):
                best[pair] = found
    pairs = ((found, thumbnails[found.whole], thumbnails[found.part]) for found in best.values())
    agree = map_in_threads(_agrees_in_detail, pairs, workers=workers, bundle=64)
    return sorted(found for found, agrees in zip(best.values(), agree) if agrees)


def _in_block(
    numbered: tuple[int, npt.NDArray[np.uint8]], parts: Spectra, index: HashIndex | None
) -> list[Candidate]:
    """Find the images that are like those of a block, given the place of its first."""
    begin, block = numbered
    if index is None:
        wholes, others = _alike(spectra(block, _FREQUENCIES, [_MIDDLE])[:, 0], parts)
    else:
        wholes, others = index.look_up(block)
    differ = wholes + begin != others
    return list(_best_views(block, begin, wholes[differ], others[differ], parts))


def _blocks(thumbnails: Thumbnails) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for begin in range(0, len(thumbnails), _WHOLES_PER_BLOCK):
        yield begin, thumbnails[begin : begin + _WHOLES_PER_BLOCK]


def _rank(candidate: Candidate) -> tuple[float, Cut, Cut, int, int]:
    # The best correlation first; the rest makes the choice independent of the order.
    cuts = (candidate.rows, candidate.columns)
    return -candidate.correlation, *cuts, candidate.orientation, candidate.whole


def _alike(wholes: Spectra, parts: Spectra) -> tuple[_Indices, _Indices]:
    """Find the pairs that correlate in their best orientation.

    One flip changes the signs of the odd frequencies along rows, the other of those along columns.
    Let s be the product over frequencies that are odd along both or along none, and t the rest:
    without a flip and with both, s is the same and t changes its sign, so s + |t| is the better
    correlation. With one flip of the whole image that gives the other two, and with the
    transposed image four more.
    """
    square = wholes.reshape(-1, _FREQUENCIES, _FREQUENCIES)
    upside_down = np.where(np.arange(_FREQUENCIES) % 2, 1, -1).astype(np.float32)[:, np.newaxis]
    views = [
        _by_parity(view * flip)
        for view in (square, square.transpose(0, 2, 1))
        for flip in (np.float32(1), upside_down)
    ]
    rows, columns = [], []
    # Buffers, since a new array of this size costs more than to fill it.
    shape = (len(wholes), min(_PARTS_PER_BLOCK, len(parts)))
    sums, signed, found, also = (np.empty(shape, kind) for kind in ("f4", "f4", "?", "?"))
    for begin in range(0, len(parts), _PARTS_PER_BLOCK):
        others = _by_parity(parts[begin : begin + _PARTS_PER_BLOCK])
        used = slice(len(others[0]))
        best, either, hit, more = (each[:, used] for each in (sums, signed, found, also))
        hit[:] = False
        for same, mixed in views:
            np.matmul(same, others[0].T, out=best)
            np.matmul(mixed, others[1].T, out=either)
            best += np.abs(either, out=either)
            hit |= np.greater_equal(best, _LEAST_AT_FIRST, out=more)
        row, column = np.nonzero(hit)
        rows.append(row)
        columns.append(column + begin)
    return np.concatenate(rows), np.concatenate(columns)


def _by_parity(found: Spectra) -> tuple[Spectra, Spectra]:
    """Split spectra into frequencies that are odd along both sides or none, and the others."""
    square = found.reshape(-1, _FREQUENCIES, _FREQUENCIES)
    same, mixed = (
        np.concatenate([square[:, ::2, columns::2], square[:, 1::2, 1 - columns :: 2]], axis=1)
        for columns in (0, 1)
    )
    return same.reshape(len(found), -1), mixed.reshape(len(found), -1)


def _best_views(
    block: npt.NDArray[np.uint8], begin: int, wholes: _Indices, others: _Indices, parts: Spectra
) -> Iterator[Candidate]:
    """Compare pairs in all views of the first image, and yield those that still correlate."""
    sources, signs = turns(_FREQUENCIES)
    views = spectra(block, _FREQUENCIES, _CUTS).swapaxes(1, 2)
    for start in range(0, len(wholes), _PAIRS_PER_STEP):
        step = slice(start, start + _PAIRS_PER_STEP)
        whole, part = wholes[step], others[step]
        turned = parts[part].take(sources.ravel(), axis=1).reshape(-1, *sources.shape) * signs
        correlations = (turned @ views[whole]).reshape(len(whole), -1)
        choice = correlations.argmax(axis=1)
        value = correlations[np.arange(len(whole)), choice].astype(np.float32, copy=False)
        for row in _most_alike(whole, value):
            orientation, view = divmod(int(choice[row]), len(_CUTS) ** 2)
            yield Candidate(
                int(whole[row]) + begin,
                int(part[row]),
                orientation,
                _CUTS[view // len(_CUTS)],
                _CUTS[view % len(_CUTS)],
                float(value[row]),
            )


def _most_alike(wholes: _Indices, values: npt.NDArray[np.float32]) -> Iterator[int]:
    """Yield the rows above the threshold, the most alike first, a bounded number per image."""
    used: dict[int, int] = {}
    likely = np.flatnonzero(values >= _LEAST_BY_VIEW)
    for row in likely[np.argsort(-values[likely], kind="stable")]:
        whole = int(wholes[row])
        used[whole] = used.get(whole, 0) + 1
        if used[whole] <= _MOST_PER_IMAGE:
            yield int(row)


def _agrees_in_detail(pair: tuple[Candidate, Thumbnail, Thumbnail]) -> bool:
    """Compare two images by many frequencies, in the view and orientation found by few."""
    candidate, whole, part = pair
    source, sign = (each[candidate.orientation] for each in turns(_MANY_FREQUENCIES))
    # Of the four combinations of two cuts, the second has one of the rows and one of the columns.
    cuts = (candidate.rows, candidate.columns)
    cropped = spectra(whole[np.newaxis], _MANY_FREQUENCIES, cuts)[0, 1]
    turned = spectra(part[np.newaxis], _MANY_FREQUENCIES)[0, 0][source] * sign
    return float(cropped @ turned) >= _LEAST_BY_MANY
