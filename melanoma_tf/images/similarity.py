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
_BLOCK = 1024
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

    Memory holds the images, one block of references and their distances, however many there are.

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
    start = 0
    for given in references:
        if given.shape[1:] != images.shape[1:]:
            raise MelanomaError(
                f"expected references of {images.shape[1:]}; found {given.shape[1:]}"
            )
        for at in range(0, len(given), _BLOCK):
            block = given[at : at + _BLOCK]
            table.compare(block, start, except_own_place)
            start += len(block)
    return table.result()


class _Table:
    """The nearest so far.

    By |a - b|^2 = |a|^2 + |b|^2 - 2ab a block is one product of matrices. All but the product is
    done in whole numbers or double precision; the product's rounding is bounded, and whatever
    may be nearest within that bound is computed anew from the differences, in whole numbers.
    """

    def __init__(self, images: Images, mirror: bool):
        count = len(images)
        self._bytes = images.reshape(count, -1)
        self._mirrored = images[:, :, ::-1].reshape(count, -1) if mirror else None
        # Around grey the products are smaller, and so is their rounding.
        self._rows = self._bytes.astype(np.float32) - 128.0
        self._mirrored_rows = (
            None if self._mirrored is None else self._mirrored.astype(np.float32) - 128.0
        )
        self._squares = _squares(self._rows)
        self._index = np.full(count, -1, np.int64)
        self._distance = np.full(count, np.inf)
        self._is_mirrored = np.zeros(count, bool)

    def compare(self, block: Images, start: int, except_own_place: bool) -> None:
        flat = block.reshape(len(block), -1)
        rows = flat.astype(np.float32) - 128.0
        squares = _squares(rows)
        sides = [(self._rows, self._bytes, False)]
        if self._mirrored_rows is not None and self._mirrored is not None:
            sides.append((self._mirrored_rows, self._mirrored, True))
        for own, exact, mirrored in sides:
            # In place: a block's distances are the largest array there is.
            distances = own @ rows.T
            distances *= -2.0
            distances += self._squares.astype(np.float32)[:, np.newaxis]
            distances += squares.astype(np.float32)[np.newaxis]
            if except_own_place:
                places = np.arange(max(0, start), min(len(own), start + len(block)))
                distances[places, places - start] = np.inf
            self._settle(distances, exact, flat, squares, start, mirrored)

    def _settle(
        self,
        distances: npt.NDArray[np.float32],
        exact: npt.NDArray[np.uint8],
        flat: npt.NDArray[np.uint8],
        squares: npt.NDArray[np.float64],
        start: int,
        mirrored: bool,
    ) -> None:
        best = distances.min(axis=1)
        slack = _RELATIVE_ERROR * (self._squares + squares.max(initial=0.0))
        hopeful = np.flatnonzero(np.isfinite(best) & (best - slack < self._distance))
        for image in hopeful:
            bound = min(best[image] + 2.0 * slack[image], self._distance[image] + slack[image])
            for place in np.flatnonzero(distances[image] <= bound):
                difference = exact[image].astype(np.int32) - flat[place]
                found = float(np.dot(difference, difference.astype(np.int64)))
                if found < self._distance[image]:
                    self._distance[image] = found
                    self._index[image] = start + place
                    self._is_mirrored[image] = mirrored

    def result(self) -> Nearest:
        scale = 255.0**2 * max(1, self._rows.shape[1])
        return Nearest(self._index, self._distance / scale, self._is_mirrored)


def _squares(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
