"""The nearest real image of every generated one, by mean squared error; exact.

Bisla et al. 2019, Section 3.3.2: a generated image that repeats a training image adds nothing.
Pixels are taken in [0, 1], as the paper's figures of the error are. Images in question are compared
as they are and mirrored left-right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
# Numbers in a block of references: 64 MiB for images of any size.
_BLOCK_VALUES = 2**24
_GREY = np.float32(128.0)
# Rows whose rounding error may have hidden the true nearest are looked at again.
_RELATIVE_ERROR = 1e-5
# What is done to a few images at a time stays in the processor's cache.
_IMAGES_IN_CACHE = 16
# 256 squares of up to 256 sum to no more than 2**24, up to which floats hold all whole numbers.
_EXACT = 256


@dataclass(frozen=True)
class Nearest:
    """The nearest reference of every image.

    Attributes:
        index: int64 `(images,)`: its place in the stream of references, -1 where there was none.
        distance: float64 `(images,)`: mean squared error, pixels in [0, 1]; infinite likewise.
        mirrored: bool `(images,)`: whether it is nearest as its mirror image.
    """

    index: npt.NDArray[np.int64]
    distance: npt.NDArray[np.float64]
    mirrored: npt.NDArray[np.bool_]


def nearest(
    images: Images, references: Iterable[Images], *, own_places: Places | None = None
) -> Nearest:
    """Find the nearest reference, or mirror image of one, of every image.

    Memory holds the images as floats, one block of references and their products, however many
    references there are.

    Args:
        images: uint8 `(images, height, width, channels)`.
        references: a stream of blocks of the same, in order.
        own_places: int64 `(images,)`: where the images themselves are among the references, which
            are skipped there, as their mirror images are; -1 for an image that is not.

    Returns:
        See `Nearest`; of equally near ones the first.

    Raises:
        MelanomaError: references of another size.
    """
    table = _Table(images)
    start, most = 0, table.block_size
    for given in references:
        if given.shape[1:] != images.shape[1:]:
            raise MelanomaError(
                f"expected references of {images.shape[1:]}; found {given.shape[1:]}"
            )
        for at in range(0, len(given), most):
            block = given[at : at + most]
            table.compare(block, start, own_places)
            start += len(block)
    return table.result()


class _Table:
    """The nearest so far.

    |a - b|^2 = |a|^2 + |b|^2 - 2ab. Let s and d be the sum and the difference of an image's left
    half and its mirrored right half; then 2ab is s s' + d d', and of the mirror image s s' - d d'.
    So two products of half the width, those of s and of d, tell of both. The rounding of products
    is bounded, and all that may be nearest within that bound are computed again from the bytes.
    """

    def __init__(self, images: Images):
        self._images = images
        self._sums, self._differences = _matrices(images)
        self._squares = _split(images, self._sums, self._differences)
        half = _half(images)
        self._sums[:, :half] *= -1.0
        self._sums[:, half:] *= -2.0  # The middle column of an odd width has no other half.
        self._differences *= -1.0
        count = len(images)
        self._index = np.full(count, -1, np.int64)
        self._distance = np.full(count, np.inf)
        self._is_mirrored = np.zeros(count, bool)
        self.block_size = max(1, _BLOCK_VALUES // max(1, int(np.prod(images.shape[1:]))))
        # Used for every block: fresh memory would cost a tenth of the products' time.
        self._of_block = _matrices(images[:0])
        self._products = np.empty((2, 0), np.float32)

    def compare(self, block: Images, start: int, own_places: Places | None) -> None:
        count, shape = len(block), (len(self._images), len(block))
        if count > len(self._of_block[0]):
            self._of_block = _matrices(block)
            self._products = np.empty((2, len(self._images) * count), np.float32)
        sums, differences = (matrix[:count] for matrix in self._of_block)
        squares = _split(block, sums, differences)
        both = self._products[:, : shape[0] * shape[1]].reshape(2, *shape)
        np.matmul(self._sums, sums.T, out=both[0])
        np.matmul(self._differences, differences.T, out=both[1])
        # All of the distance, to the nearer of reference and mirror image, but the image's square.
        distances = np.subtract(both[0], np.abs(both[1], out=both[1]), out=both[0])
        distances += squares.astype(np.float32)
        if own_places is not None:
            here = np.flatnonzero((own_places >= start) & (own_places < start + count))
            distances[here, own_places[here] - start] = np.inf
        self._settle(distances, block, squares.max(initial=0.0), start)

    def _settle(self, distances: Floats, block: Images, largest_square: float, start: int) -> None:
        best = distances.min(axis=1, initial=np.inf) + self._squares
        slack = _RELATIVE_ERROR * (self._squares + largest_square)
        bound = np.minimum(best + 2.0 * slack, self._distance + slack) - self._squares
        hopeful = np.flatnonzero(np.isfinite(best) & (best - slack < self._distance))
        which, place = np.nonzero(distances[hopeful] <= bound[hopeful, np.newaxis])
        image = hopeful[which]
        for at in range(0, len(image), _IMAGES_IN_CACHE):
            part = slice(at, at + _IMAGES_IN_CACHE)
            ours, theirs = self._images[image[part]], block[place[part]].astype(np.float32)
            plain, mirrored = (
                _squares((theirs - side).reshape(len(theirs), -1))
                for side in (ours, ours[:, :, ::-1])
            )
            found = np.minimum(plain, mirrored)
            # One by one and in order: of equally near ones the first is kept.
            for pair in np.flatnonzero(found < self._distance[image[part]]):
                own = image[part][pair]
                if found[pair] < self._distance[own]:
                    self._distance[own] = found[pair]
                    self._index[own] = start + place[part][pair]
                    self._is_mirrored[own] = mirrored[pair] < plain[pair]

    def result(self) -> Nearest:
        scale = 255.0**2 * max(1, int(np.prod(self._images.shape[1:])))
        return Nearest(self._index, self._distance / scale, self._is_mirrored)


def _half(images: Images) -> int:
    """Number of values in the left half of an image, less the middle column."""
    _, height, width, channels = images.shape
    return height * (width // 2) * channels


def _matrices(images: Images) -> tuple[Floats, Floats]:
    """Room for what `_split` writes."""
    half = _half(images)
    middle = int(np.prod(images.shape[1:])) - 2 * half
    return (
        np.empty((len(images), half + middle), np.float32),
        np.empty((len(images), half), np.float32),
    )


def _split(images: Images, sums: Floats, differences: Floats) -> npt.NDArray[np.float64]:
    """Write the sums of left and mirrored right halves (then the middle), and the differences.

    They are those of bytes less 128: around grey products are smaller, and so is their rounding.

    Returns:
        The images' squares around grey, exactly, float64 `(images,)`.
    """
    half, width = _half(images), images.shape[2]
    squares = np.empty(len(images))
    for at in range(0, len(images), _IMAGES_IN_CACHE):
        part = slice(at, at + _IMAGES_IN_CACHE)
        some = np.ascontiguousarray(images[part])
        # All rows of all images at once; a single channel would otherwise lose its axis.
        rows = some.reshape(-1, width, some.shape[3])
        flipped = cv2.flip(rows, 1).reshape(some.shape)
        left, right = (
            each[:, :, : width // 2].astype(np.float32).reshape(len(some), half)
            for each in (some, flipped)
        )
        np.subtract(left, right, out=differences[part])
        np.add(left, right, out=sums[part, :half])
        sums[part, :half] -= 2.0 * _GREY
        sums[part, half:] = some[:, :, width // 2 : width - width // 2].reshape(len(some), -1)
        sums[part, half:] -= _GREY
        squares[part] = (_squares(sums[part, :half]) + _squares(differences[part])) / 2.0
        squares[part] += _squares(sums[part, half:])
    return squares


def _squares(rows: Floats) -> npt.NDArray[np.float64]:
    """Sums of squares of whole numbers from -256 to 256, along rows.

    Those of so few numbers are exact in single precision, which is several times as fast.
    """
    whole = rows.shape[1] - rows.shape[1] % _EXACT
    parts = rows[:, :whole].reshape(len(rows), -1, _EXACT)
    sums = np.einsum("ijk,ijk->ij", parts, parts).sum(axis=1, dtype=np.float64)
    return sums + np.einsum("ij,ij->i", rows[:, whole:], rows[:, whole:])
