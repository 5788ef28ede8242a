"""Pairs of images with similar perceptual hashes, for collections too large to compare all pairs.

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

import numpy as np
import numpy.typing as npt

from melanoma_tf.records.build.spectra import Cut, Spectra, spectra, turns
from melanoma_tf.records.build.thumbnails import Thumbnails

_Codes = npt.NDArray[np.uint64]
_Indices = npt.NDArray[np.int64]

_FREQUENCIES = 8
# Each image is searched for copies of itself that lack this fraction of each side. Between two of
# these crops the hash tolerates the rest.
_CUTS: tuple[Cut, ...] = ((0.0, 0.0), (0.02, 0.02), (0.04, 0.04))
# The bits of a band with the smallest coefficients change first: all their values are tried.
_UNSURE_BITS = 5
_MOST_DIFFERING_BITS = 14
_LEAST_CORRELATION = 0.95
_LARGEST_BUCKET = 1024
_IMAGES_PER_BLOCK = 256
_ENTRIES_PER_STEP = 2**18


class HashIndex:
    """Index of images by the bits of their hashes.

    Args:
        thumbnails: uint8 `(count, 64, 64)`.
    """

    def __init__(self, thumbnails: Thumbnails) -> None:
        self._spectra = np.concatenate(
            [
                _flat(thumbnails[begin : begin + _IMAGES_PER_BLOCK])
                for begin in range(0, len(thumbnails), _IMAGES_PER_BLOCK)
            ]
        )
        self._codes = _codes(self._spectra)
        self._index = _Index(self._codes)

    def look_up(self, block: npt.NDArray[np.uint8]) -> tuple[_Indices, _Indices]:
        """Find the images with hashes like those of a block of thumbnails, or of their crops.

        Returns:
            Positions in the block, and indices of images. Of images with equal hashes only the
            first is found.
        """
        sources, signs = turns(_FREQUENCIES)
        found = []
        for cut in _CUTS:
            crops = spectra(block, _FREQUENCIES, [cut], whitened=False)[:, 0]
            for source, sign in zip(sources, signs):
                queries = crops[:, source] * sign
                rows, images = _alike(queries, self._codes, self._index)
                correlations = np.einsum("ni,ni->n", queries[rows], self._spectra[images])
                likely = correlations >= _LEAST_CORRELATION
                found.append(rows[likely] * len(self._spectra) + images[likely])
        return np.divmod(np.unique(np.concatenate(found)), len(self._spectra))


def _flat(thumbnails: npt.NDArray[np.uint8]) -> Spectra:
    return spectra(thumbnails, _FREQUENCIES, whitened=False)[:, 0]


def _codes(flat: Spectra) -> _Codes:
    bits = np.packbits(flat > 0, axis=1, bitorder="little")
    return np.ascontiguousarray(bits).view("<u8").ravel().astype(np.uint64)


class _Index:
    """Index of images by the bits of each band of their codes, one image per distinct code."""

    def __init__(self, codes: _Codes) -> None:
        order = np.lexsort((np.arange(len(codes)), codes))
        ordered = codes[order]
        first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        self._distinct = order[first]
        bands = _band_count(len(codes))
        each = np.arange(1, _FREQUENCIES + 1)
        diagonal = np.add.outer(each, each).ravel() % bands
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


def _alike(queries: Spectra, codes: _Codes, index: _Index) -> tuple[_Indices, _Indices]:
    """Find queries and images in one bucket that differ by few bits, each pair once."""
    query_codes = _codes(queries)
    found = []
    for number, band in enumerate(index.bands):
        keys = _neighbours(_band_keys(query_codes, band), np.abs(queries[:, band]))
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
