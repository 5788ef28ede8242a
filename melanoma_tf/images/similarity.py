"""The nearest real image of every generated one, by mean squared error; exact.

Bisla et al. 2019, Section 3.3.2: a generated image that repeats a training image adds nothing.
Pixels are taken in [0, 1], as the paper's figures of the error are. Images in question are compared
as they are and mirrored left-right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma_tf.errors import MelanomaError

Images = npt.NDArray[np.uint8]
# Numbers in a block of references: 64 MiB, whatever the images' size.
_BLOCK_VALUES = 2**24
_GREY_BIT = np.uint8(128)
_PAIRS_AT_ONCE = 64
# 256 squares of up to 255 sum to less than 2**24, up to which floats hold all whole numbers.
_EXACT = 256
# Rows whose rounding error may have hidden the true nearest are looked at again.
_RELATIVE_ERROR = 1e-5


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
    images: Images,
    references: Iterable[Images],
    *,
    mirror: bool = True,
    except_own_place: bool = False,
) -> Nearest:
    """Find the nearest reference of every image.

    Memory holds the images with their mirror images, one block of references and their products,
    however many references there are. It is the images that are mirrored, once, since
    |a - mirrored b| = |mirrored a - b|.

    Args:
        images: uint8 `(images, height, width, channels)`.
        references: a stream of blocks of the same, in order.
        mirror: compare with the references' mirror images too.
        except_own_place: the images are the references themselves: skip a reference at the image's
            own place, and its mirror image.

    Returns:
        See `Nearest`; of equally near ones the first.

    Raises:
        MelanomaError: references of another size.
    """
    table = _Table(images, mirror)
    start, most = 0, table.block_size
    for given in references:
        if given.shape[1:] != images.shape[1:]:
            raise MelanomaError(
                f"expected references of {images.shape[1:]}; found {given.shape[1:]}"
            )
        for at in range(0, len(given), most):
            block = given[at : at + most]
            table.compare(block, start, except_own_place)
            start += len(block)
    return table.result()


class _Table:
    """The nearest so far.

    By |a - b|^2 = |a|^2 + |b|^2 - 2ab a block is one product of matrices, of all images and their
    mirror images with all references. The sides are around grey, where products and so their
    rounding are smaller; sums of squares are exact. The product's rounding is bounded, and whatever
    may be nearest within that bound is computed anew from the differences.
    """

    def __init__(self, images: Images, mirror: bool):
        count, values = len(images), int(np.prod(images.shape[1:]))
        sides = (images, images[:, :, ::-1]) if mirror else (images,)
        self._sides, self._count = len(sides), count
        self._rows = np.empty((self._sides * count, values), np.float32)
        for index, side in enumerate(sides):
            _around_grey(side.reshape(count, values), self._rows[index * count :][:count])
        self._squares = _squares(self._rows[:count])
        self._rows *= -2.0
        self.block_size = max(1, _BLOCK_VALUES // max(1, values))
        self._index = np.full(count, -1, np.int64)
        self._distance = np.full(count, np.inf)
        self._is_mirrored = np.zeros(count, bool)
        # Used for every block: fresh memory would cost a tenth of the product's time.
        self._block = np.empty((0, values), np.float32)
        self._products = np.empty(0, np.float32)

    def compare(self, block: Images, start: int, except_own_place: bool) -> None:
        count = len(block)
        if count > len(self._block):
            self._block = np.empty((count, self._rows.shape[1]), np.float32)
            self._products = np.empty(count * len(self._rows), np.float32)
        rows = self._block[:count]
        _around_grey(block.reshape(count, -1), rows)
        squares = _squares(rows)
        products = self._products[: count * len(self._rows)].reshape(-1, count)
        np.matmul(self._rows, rows.T, out=products)
        # All of the distance but the image's own square, which is the same along a row.
        products += squares.astype(np.float32)
        by_side = products.reshape(self._sides, self._count, count)
        if except_own_place:
            places = np.arange(max(0, start), min(self._count, start + count))
            by_side[:, places, places - start] = np.inf
        self._settle(by_side, rows, squares.max(initial=0.0), start)

    def _settle(
        self,
        products: npt.NDArray[np.float32],
        rows: npt.NDArray[np.float32],
        largest_square: float,
        start: int,
    ) -> None:
        best = products.min(axis=2, initial=np.inf).min(axis=0) + self._squares
        slack = _RELATIVE_ERROR * (self._squares + largest_square)
        bound = np.minimum(best + 2.0 * slack, self._distance + slack) - self._squares
        hopeful = np.flatnonzero(np.isfinite(best) & (best - slack < self._distance))
        # Image by image, so that of equally near ones the first is found first.
        near = products[:, hopeful].swapaxes(0, 1) <= bound[hopeful, np.newaxis, np.newaxis]
        which, side, place = np.nonzero(near)
        image = hopeful[which]
        for at in range(0, len(image), _PAIRS_AT_ONCE):
            part = slice(at, at + _PAIRS_AT_ONCE)
            own = self._rows[side[part] * self._count + image[part]]
            own *= 0.5
            own += rows[place[part]]
            self._take(image[part], _squares(own), start + place[part], side[part] == 1)

    def _take(
        self,
        image: npt.NDArray[np.int64],
        distance: npt.NDArray[np.float64],
        index: npt.NDArray[np.int64],
        mirrored: npt.NDArray[np.bool_],
    ) -> None:
        for pair in np.flatnonzero(distance < self._distance[image]):
            if distance[pair] < self._distance[image[pair]]:
                self._distance[image[pair]] = distance[pair]
                self._index[image[pair]] = index[pair]
                self._is_mirrored[image[pair]] = mirrored[pair]

    def result(self) -> Nearest:
        scale = 255.0**2 * max(1, self._rows.shape[1])
        return Nearest(self._index, self._distance / scale, self._is_mirrored)


def _around_grey(flat: npt.NDArray[np.uint8], rows: npt.NDArray[np.float32]) -> None:
    """Write bytes less 128 as floats: those are the bytes with the highest bit flipped, signed."""
    np.copyto(rows, (flat ^ _GREY_BIT).view(np.int8))


def _squares(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sums of squares of whole numbers from -255 to 255, along rows.

    Those of so few numbers are exact in single precision, which is several times as fast.
    """
    whole = rows.shape[1] - rows.shape[1] % _EXACT
    parts = rows[:, :whole].reshape(len(rows), -1, _EXACT)
    sums = np.einsum("ijk,ijk->ij", parts, parts).sum(axis=1, dtype=np.float64)
    return sums + np.einsum("ij,ij->i", rows[:, whole:], rows[:, whole:])
