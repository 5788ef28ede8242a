"""Pairs of thumbnails that may show one picture: a perceptual hash and its buckets.

The hash holds the signs of 8 x 8 low frequencies of the thumbnail's cosine transform. Its bits
fall into bands; images are filed by the bits of each band, and an image looks only into the
buckets where copies of it would lie. Work and memory therefore grow with the number of images and
not with its square: the bands widen with the number of images, and a bucket is read only up to a
bound. (Multi-index hashing: Norouzi, Punjani, Fleet 2012; querying the likeliest neighbours of a
bucket: Lv et al. 2007.)
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
# Each image looks for copies of itself that lost this share of each side. Between two of these
# crops the hash tolerates the rest.
CROPS = (0.0, 0.02, 0.04)
# Transpose, upside down, mirrored: all eight positions of a square.
ORIENTATIONS = tuple(itertools.product((False, True), repeat=3))
# The bits of a band whose coefficient is nearest to 0 turn first: all their values are tried.
_UNSURE_BITS = 5
_MOST_DIFFERING_BITS = 14
_LEAST_CORRELATION = 0.95
_LARGEST_BUCKET = 1024
_IMAGES_PER_BLOCK = 256
_ENTRIES_PER_STEP = 2**18


@dataclass(frozen=True, order=True)
class Candidate:
    """Two thumbnails that may show one picture, and how the second would lie in the first.

    Attributes:
        whole: index of the image that may have been cropped.
        part: index of the image that may be its crop.
        orientation: index in `ORIENTATIONS` that turns `whole` as `part` lies.
        crop: the share of each side of `whole` that `part` may lack.
        correlation: of the low frequencies, -1 to 1.
    """

    whole: int
    part: int
    orientation: int
    crop: float
    correlation: float


def oriented(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """A square image in one of its eight `ORIENTATIONS`."""
    transpose, upside_down, mirror = ORIENTATIONS[orientation]
    turned = image.T if transpose else image
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def find_candidates(thumbnails: Thumbnails) -> list[Candidate]:
    """Pairs of thumbnails whose hashes are alike, in the best orientation and crop of each.

    Args:
        thumbnails: uint8 `(count, 64, 64)`.

    Returns:
        One candidate per pair of images, sorted. Pairs of copies that differ by size, JPEG
        quality, mirroring, quarter turns and up to 4 % of crop are among them nearly always
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
        records = best.get(pair)
        if records is None or _rank(candidate) < _rank(records):
            best[pair] = candidate
    return sorted(best.values())


def _rank(candidate: Candidate) -> tuple[float, float, int, int]:
    # The best correlation first; the rest makes the choice the same in every order.
    return -candidate.correlation, candidate.crop, candidate.orientation, candidate.whole


def _spectra(thumbnails: npt.NDArray[np.uint8], crop: float) -> _Spectra:
    """Low frequencies `(count, 8, 8)` of the cropped thumbnails, each of norm 1."""
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
        # INTER_AREA takes whole pixels only: the crop is resampled at the full size first.
        zoom = 1 - 2 * crop
        shift = (THUMBNAIL_SIZE_PX - 1) * (1 - zoom) / 2
        warp = np.array([[zoom, 0, shift], [0, zoom, shift]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        grey = cv2.warpAffine(grey, warp, grey.shape[::-1], flags=flags)
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA)


def _turned(spectra: _Spectra, orientation: int) -> _Spectra:
    """The spectra of the turned images: a mirrored cosine of odd frequency changes its sign."""
    transpose, upside_down, mirror = ORIENTATIONS[orientation]
    signs = np.where(_FREQUENCIES % 2, np.float32(-1), np.float32(1))
    turned = spectra.transpose(0, 2, 1) if transpose else spectra
    turned = turned * signs[:, np.newaxis] if upside_down else turned
    return turned * signs if mirror else turned


def _codes(spectra: _Spectra) -> _Codes:
    bits = np.packbits(spectra.reshape(len(spectra), -1) > 0, axis=1, bitorder="little")
    return np.ascontiguousarray(bits).view("<u8").ravel().astype(np.uint64)


class _Index:
    """Images filed by the bits of each band of their codes, one image per distinct code."""

    def __init__(self, codes: _Codes) -> None:
        self.order = np.lexsort((np.arange(len(codes)), codes))
        ordered = codes[self.order]
        first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        # Images of equal codes: `order` holds them in runs, which begin at `first`.
        self.run_start = np.flatnonzero(first)[np.cumsum(first) - 1]
        self._held = self.order[first]
        bands = _band_count(len(codes))
        diagonal = np.add.outer(_FREQUENCIES, _FREQUENCIES).ravel() % bands
        self.bands = [np.flatnonzero(diagonal == band) for band in range(bands)]
        self._filed = [self._file(codes, band) for band in self.bands]

    def _file(self, codes: _Codes, band: _Indices) -> tuple[_Indices, _Indices]:
        keys = _band_keys(codes[self._held], band)
        members = self._held[np.argsort(keys, kind="stable")]
        starts = np.zeros(2 ** len(band) + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=2 ** len(band)), out=starts[1:])
        return members, starts

    def entries(self, number: int, keys: _Indices) -> Iterator[tuple[_Indices, _Indices]]:
        """The members of buckets of a band, in steps of bounded size.

        Args:
            number: of the band.
            keys: of the buckets.

        Yields:
            Positions in `keys`, and the indices of the images found there.
        """
        members, starts = self._filed[number]
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
    # As many bands as leave a bucket about one image: 4 bands of 16 bits up to 65,536 images,
    # 3 bands of 21 or 22 bits beyond.
    return 4 if images <= 2**16 else 3


def _band_keys(codes: _Codes, band: _Indices) -> _Indices:
    keys = np.zeros(len(codes), np.int64)
    for place, bit in enumerate(band):
        keys |= ((codes >> np.uint64(bit)) & np.uint64(1)).astype(np.int64) << place
    return keys


def _equal_codes(index: _Index, spectra: _Spectra) -> Iterator[Candidate]:
    """Each image with the first and with the previous one of its code: a chain, no square."""
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
    """Queries and images that share a bucket and differ by few bits, each pair once."""
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
    """The keys `(count, 32)` that differ from each key in its bits of the smallest `sizes` only."""
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
    """The pairs whose low frequencies correlate too, which the signs alone do not say."""
    correlations = np.einsum("nij,nij->n", queries[whole], spectra[part])
    for row in np.flatnonzero(correlations >= _LEAST_CORRELATION):
        yield Candidate(
            int(whole[row]), int(part[row]), orientation, crop, float(correlations[row])
        )
