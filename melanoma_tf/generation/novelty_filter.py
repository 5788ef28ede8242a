"""The novelty filter of generated images: no copy of a real image, and no copy of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.generation.nearest_neighbours import Nearest, Places, nearest

Images = npt.NDArray[np.uint8]
# Finds the nearest real image of each image, given where the images themselves are among the real
# ones, if they are; see `nearest_neighbours.nearest`.
SearchReal = Callable[[Images, Optional[Places]], Nearest]
# Numbers in the candidates that are compared at once: 256 MiB, and as much of mirror images.
_VALUES_AT_ONCE = 2**26
# Candidates for one accepted image, at most, before the search ends.
_MOST_TRIES = 20
_PERCENTILE = 1.0
_SAMPLE = 1024


@dataclass(frozen=True)
class NovelImages:
    """Images that passed the novelty filter, and what was compared.

    Attributes:
        images: uint8 `(images, size, size, 3)`.
        nearest: their nearest real images.
        candidates: the number of images generated.
        near_real: rejected because a real image is too near.
        near_other: rejected because another accepted image is too near.
        surplus: passed in the last batch, after the number wanted: left out.
    """

    images: Images
    nearest: Nearest
    candidates: int
    near_real: int
    near_other: int
    surplus: int = 0


def search_here(real: Callable[[], Iterable[Images]]) -> SearchReal:
    """Make a search in this process; `real` gives a new stream of blocks of real images."""
    return lambda images, own_places: nearest(images, real(), own_places=own_places)


def default_min_mse(
    real: Callable[[], Iterable[Images]], search: SearchReal | None = None
) -> float:
    """The first percentile of the distances from real images to their nearest other real image.

    Images that occur twice, as they are or mirrored, are left out.

    Args:
        real: gives a new stream of blocks of real images; the first 1,024 are compared.
        search: finds the nearest real images; by default in this process.

    Raises:
        MelanomaError: fewer than two different real images.
    """
    sample: list[Images] = []
    for block in real():
        sample.append(block[: _SAMPLE - sum(map(len, sample))])
        if sum(map(len, sample)) >= _SAMPLE:
            break
    count = sum(map(len, sample))
    if count < 2:
        raise MelanomaError(f"expected two real images or more to compare with; found {count}")
    search = search or search_here(real)
    found = search(np.concatenate(sample), np.arange(count))
    # A picture that occurs twice is no other one; its 0 would let every copy pass.
    distance = found.distance[found.distance > 0.0]
    if not len(distance):
        raise MelanomaError(f"expected two different real images or more; {count} show one picture")
    return float(np.percentile(distance, _PERCENTILE))


def sample_novel(
    generate: Callable[[int], Images],
    count: int,
    search: SearchReal,
    min_mse: float,
    *,
    image_size_px: int,
    feature_space_filter: Callable[[Images], npt.NDArray[np.bool_]] | None = None,
) -> NovelImages:
    """Generate until `count` images are at least `min_mse` from every real one and each other.

    Args:
        generate: gives that many new candidates, uint8 `(candidates, size, size, 3)`.
        count: images to accept.
        search: finds the nearest real images, see `search_here`.
        min_mse: least mean squared error, pixels in [0, 1].
        image_size_px: side of the images.
        feature_space_filter: tells of images, bool `(images,)`, whether they are too near to a
            real one in a space of features.

    Raises:
        MelanomaError: fewer passed, out of 20 candidates for every image wanted.
    """
    kept: list[Images] = []
    distances: list[Nearest] = []
    passed = candidates = near_real = near_other = 0
    most = _MOST_TRIES * max(count, 8)
    at_once = max(1, _VALUES_AT_ONCE // (3 * image_size_px**2))
    while passed < count:
        if candidates >= most:
            raise MelanomaError(
                f"expected {count} images of at least {min_mse:.4g} from every real image and "
                f"each other; {passed} of {candidates} candidates are ({near_real} too near to a "
                f"real image, {near_other} to another): lower --min-mse, or train for longer"
            )
        # As many as should do, by the fraction that has passed so far: each batch is compared
        # with all real images once more.
        wanted = (count - passed) * (candidates + 1) // (passed + 1)
        batch = generate(min(at_once, most - candidates, max(8, wanted)))
        found = search(batch, None)
        far = found.distance >= min_mse
        if feature_space_filter is not None:
            far &= ~feature_space_filter(batch)
        new = _apart(batch, far, kept, min_mse)
        candidates += len(batch)
        near_real += int((~far).sum())
        near_other += int((far & ~new).sum())
        kept.append(batch[new])
        distances.append(Nearest(found.index[new], found.distance[new], found.mirrored[new]))
        passed += int(new.sum())
    joined = Nearest(
        *(np.concatenate([getattr(each, name) for each in distances])[:count]
          for name in ("index", "distance", "mirrored"))
    )  # fmt: skip
    images = np.concatenate(kept)[:count]
    return NovelImages(images, joined, candidates, near_real, near_other, passed - count)


def _apart(
    batch: Images, eligible: npt.NDArray[np.bool_], kept: list[Images], min_mse: float
) -> npt.NDArray[np.bool_]:
    """Select the eligible that lie apart from those kept and from the earlier ones of the batch."""
    eligible = eligible & (nearest(batch, kept).distance >= min_mse)
    pixels = int(np.prod(batch.shape[1:]))
    # Sums of products of bytes are exact in double precision.
    sides = [each.reshape(len(batch), -1).astype(np.float64) for each in (batch, batch[:, :, ::-1])]
    squares = np.einsum("ij,ij->i", sides[0], sides[0])
    total = squares[:, np.newaxis] + squares
    distance = np.minimum(*(total - 2.0 * sides[0] @ each.T for each in sides)) / (
        255.0**2 * pixels
    )
    chosen = np.zeros(len(batch), bool)
    for index in np.flatnonzero(eligible):
        chosen[index] = not (distance[index, chosen] < min_mse).any()
    return chosen
