"""Candidate pairs of thumbnails that may show one picture: a perceptual hash and its buckets.

The hash consists of the signs of 8 x 8 low frequencies of the thumbnail's cosine transform. Its
bits are divided into bands; images are indexed by the bits of each band, and an image is compared
with the buckets that would contain its copies only. Work and memory therefore grow with the number
of images and not with its square: the bands widen with the number of images, and only a bounded
part of a bucket is read. (Multi-index hashing: Norouzi, Punjani, Fleet 2012; querying the likeliest
neighbours of a bucket: Lv et al. 2007.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.thumbnails import THUMBNAIL_SIZE_PX, Thumbnail, Thumbnails

_Codes = npt.NDArray[np.uint64]
_Indices = npt.NDArray[np.int64]
_Spectra = npt.NDArray[np.float32]

# Cosine transforms of 32 x 32 pixels; frequency 0 is left out, since a vignette fills it.
_TRANSFORM_SIZE_PX = 32
_FREQUENCIES = np.arange(1, 9)
# Each image is searched for copies of itself that lack this fraction of each side. Between two of
# these crops the hash tolerates the rest.
CROPS = (0.0, 0.02, 0.04)
# Transpose, upside down, mirrored: all eight positions of a square.
ORIENTATIONS = tuple(itertools.product((False, True), repeat=3))
# The bits of a band with the smallest coefficients change first: all their values are tried.
_UNSURE_BITS = 5
_MOST_DIFFERING_BITS = 14
_LEAST_CORRELATION = 0.95
_LARGEST_BUCKET = 1024
_IMAGES_PER_BLOCK = 256
_ENTRIES_PER_STEP = 2**18


@dataclass(frozen=True, order=True)
class Candidate:
    """Two thumbnails that may show one picture, and the position of the second in the first.

    Attributes:
        whole: index of the image that may have been cropped.
        part: index of the image that may be its crop.
        orientation: index in `ORIENTATIONS` that turns `whole` to match `part`.
        crop: fraction of each side of `whole` that `part` may lack.
        correlation: correlation of the low frequencies, -1 to 1.
    """

    whole: int
    part: int
    orientation: int
    crop: float
    correlation: float


def oriented(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn a square image to one of its eight `ORIENTATIONS`."""
    transpose, upside_down, mirror = ORIENTATIONS[orientation]
    turned = image.T if transpose else image
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def find_candidates(thumbnails: Thumbnails) -> list[Candidate]:
    """Find the pairs of thumbnails with similar hashes, each in its best orientation and crop.

    Args:
        thumbnails: uint8 `(count, 64, 64)`.

    Returns:
        One candidate per pair of images, sorted. They nearly always include copies that differ by
        size, JPEG quality, mirroring, quarter turns and up to 4 % of crop
        (`scripts/benchmarks/duplicates.py` measures it).
    """
    if len(thumbnails) < 2:
        return []
    blocks = range(0, len(thumbnails), _IMAGES_PER_BLOCK)
    spectra = np.concatenate(
        [_spectra(thumbnails[begin : begin + _IMAGES_PER_BLOCK], 0.0) for begin in blocks]
    )
    codes = _codes(spectra)
    best: dict[tuple[int, int], Candidate] = {}
    index = _Index(codes)
    for candidate in itertools.chain(
        _equal_codes(index, spectra), _look_up(thumbnails, spectra, codes, index)
    ):
        pair = (min(candidate.whole, candidate.part), max(candidate.whole, candidate.part))
        so_far = best.get(pair)
        if so_far is None or _rank(candidate) < _rank(so_far):
            best[pair] = candidate
    return sorted(best.values())


def _rank(candidate: Candidate) -> tuple[float, float, int, int]:
    # The best correlation first; the rest makes the choice independent of the order.
    return -candidate.correlation, candidate.crop, candidate.orientation, candidate.whole


def _spectra(thumbnails: npt.NDArray[np.uint8], crop: float) -> _Spectra:
    """Compute low frequencies `(count, 8, 8)` of cropped thumbnails, each of norm 1."""
    size = _TRANSFORM_SIZE_PX
    spectra = np.empty((len(thumbnails), len(_FREQUENCIES), len(_FREQUENCIES)), np.float32)
    for row, thumbnail in enumerate(thumbnails):
        transform = cv2.dct(_cropped(thumbnail, crop, size))
        spectra[row] = transform[1 : len(_FREQUENCIES) + 1, 1 : len(_FREQUENCIES) + 1]
    norms = np.linalg.norm(spectra, axis=(1, 2), keepdims=True)
    return spectra / np.maximum(norms, np.finfo(np.float32).tiny)


def _cropped(thumbnail: Thumbnail, crop: float, size: int) -> npt.NDArray[np.float32]:
    grey = thumbnail.astype(np.float32)
    if crop:
        # INTER_AREA needs whole pixels: the crop is resampled at the full size first.
        zoom = 1 - 2 * crop
        shift = (THUMBNAIL_SIZE_PX - 1) * (1 - zoom) / 2
        warp = np.array([[zoom, 0, shift], [0, zoom, shift]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        grey = cv2.warpAffine(grey, warp, grey.shape[::-1], flags=flags)
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA)


def _turned(spectra: _Spectra, orientation: int) -> _Spectra:
    """Compute the spectra of turned images: a mirrored cosine of odd frequency changes its sign."""
    transpose, upside_down, mirror = ORIENTATIONS[orientation]
    signs = np.where(_FREQUENCIES % 2, np.float32(-1), np.float32(1))
    turned = spectra.transpose(0, 2, 1) if transpose else spectra
    turned = turned * signs[:, np.newaxis] if upside_down else turned
    return turned * signs if mirror else turned


def _codes(spectra: _Spectra) -> _Codes:
    bits = np.packbits(spectra.reshape(len(spectra), -1) > 0, axis=1, bitorder="little")
    return np.ascontiguousarray(bits).view("<u8").ravel().astype(np.uint64)


class _Index:
    """Index of images by the bits of each band of their codes, one image per distinct code."""

    def __init__(self, codes: _Codes) -> None:
        self.order = np.lexsort((np.arange(len(codes)), codes))
        ordered = codes[self.order]
        first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        # Images of equal codes form runs in `order`, which begin at `first`.
        self.run_start = np.flatnonzero(first)[np.cumsum(first) - 1]
        self._distinct = self.order[first]
        bands = _band_count(len(codes))
        diagonal = np.add.outer(_FREQUENCIES, _FREQUENCIES).ravel() % bands
        self.bands = [np.flatnonzero(diagonal == band) for band in range(bands)]
        self._buckets = [self._sorted(codes, band) for band in self.bands]

    def _sorted(self, codes: _Codes, band: _Indices) -> tuple[_Indices, _Indices]:
        keys = _band_keys(codes[self._distinct], band)
        members = self._distinct[np.argsort(keys, kind="stable")]
        starts = np.zeros(2 ** len(band) + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=2 ** len(band)), out=starts[1:])
        return members, starts

    def entries(self, number: int, keys: _Indices) -> Iterator[tuple[_Indices, _Indices]]:
        """Yield the members of buckets of a band, in steps of bounded size.

        Args:
            number: index of the band.
            keys: keys of the buckets.

        Yields:
            Positions in `keys`, and the indices of the images in those buckets.
        """
        members, starts = self._buckets[number]
        counts = np.minimum(starts[keys + 1] - starts[keys], _LARGEST_BUCKET)
        used = np.flatnonzero(counts)
        total = np.cumsum(counts[used])
        begin = 0
        while begin < len(used):
            done = total[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(total, done + _ENTRIES_PER_STEP)))
            part = used[begin:end]
            sizes = counts[part]
            within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            yield np.repeat(part, sizes), members[np.repeat(starts[keys[part]], sizes) + within]
            begin = end


def _band_count(images: int) -> int:
    # Enough buckets for about one image each: 4 bands of 16 bits up to 65,536 images,
    # 3 bands of 21 or 22 bits beyond.
    return 4 if images <= 2**16 else 3


def _band_keys(codes: _Codes, band: _Indices) -> _Indices:
    keys = np.zeros(len(codes), np.int64)
    for place, bit in enumerate(band):
        keys |= ((codes >> np.uint64(bit)) & np.uint64(1)).astype(np.int64) << place
    return keys


def _equal_codes(index: _Index, spectra: _Spectra) -> Iterator[Candidate]:
    """Pair each image with the first and the previous one of its code: linear, not quadratic."""
    positions = np.arange(len(index.order))
    for others in (index.run_start, np.maximum(positions - 1, index.run_start)):
        differ = np.flatnonzero(others != positions)
        whole, part = index.order[others[differ]], index.order[differ]
        yield from _likely(whole, part, 0, 0.0, spectra, spectra)


def _look_up(
    thumbnails: Thumbnails, spectra: _Spectra, codes: _Codes, index: _Index
) -> Iterator[Candidate]:
    for begin in range(0, len(thumbnails), _IMAGES_PER_BLOCK):
        block = thumbnails[begin : begin + _IMAGES_PER_BLOCK]
        for crop in CROPS:
            views = _spectra(block, crop)
            for orientation in range(len(ORIENTATIONS)):
                queries = _turned(views, orientation)
                whole, part = _alike(queries, codes, index)
                distinct = whole + begin != part
                whole, part = whole[distinct], part[distinct]
                for found in _likely(whole, part, orientation, crop, queries, spectra):
                    yield Candidate(
                        found.whole + begin, found.part, orientation, crop, found.correlation
                    )


def _alike(queries: _Spectra, codes: _Codes, index: _Index) -> tuple[_Indices, _Indices]:
    """Find queries and images in one bucket that differ by few bits, each pair once."""
    flat = queries.reshape(len(queries), -1)
    query_codes = _codes(queries)
    found = []
    for number, band in enumerate(index.bands):
        keys = _neighbours(_band_keys(query_codes, band), np.abs(flat[:, band]))
        for positions, images in index.entries(number, keys.ravel()):
            rows = positions // keys.shape[1]
            near = _differing_bits(query_codes[rows], codes[images]) <= _MOST_DIFFERING_BITS
            found.append(rows[near] * len(codes) + images[near])
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.divmod(np.unique(np.concatenate(found)), len(codes))


def _neighbours(keys: _Indices, sizes: npt.NDArray[np.float32]) -> _Indices:
    """Vary each key in its bits of the smallest `sizes`: keys `(count, 32)`."""
    unsure = np.argsort(sizes, axis=1, kind="stable")[:, :_UNSURE_BITS]
    choices = np.array(list(itertools.product((0, 1), repeat=_UNSURE_BITS)), np.int64)
    return keys[:, np.newaxis] ^ ((np.int64(1) << unsure) @ choices.T)


_ONES = np.array([bin(value).count("1") for value in range(2**16)], np.uint8)


def _differing_bits(left: _Codes, right: _Codes) -> npt.NDArray[np.uint8]:
    return _ONES[(left ^ right).view(np.uint16).reshape(-1, 4)].sum(axis=1, dtype=np.uint8)


def _likely(
    whole: _Indices,
    part: _Indices,
    orientation: int,
    crop: float,
    queries: _Spectra,
    spectra: _Spectra,
) -> Iterator[Candidate]:
    """Keep the pairs whose low frequencies correlate too, not only their signs."""
    correlations = np.einsum("nij,nij->n", queries[whole], spectra[part])
    for row in np.flatnonzero(correlations >= _LEAST_CORRELATION):
        yield Candidate(
            int(whole[row]), int(part[row]), orientation, crop, float(correlations[row])
        )
