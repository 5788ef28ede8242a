"""Named random streams: two draws share numbers only if they share a name.

An augmented example has one seed, `example_seed(run's seed, example's number)`. Every draw that is
made for it folds its own name into that seed:

    colour = Stream("overlays.hair_colour").uniform(seed, [3])

Adding a draw therefore changes no other draw, and no draw repeats the numbers of another one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

_LARGEST_INDEX = 2**31 - 1


@dataclass(frozen=True)
class Stream:
    """The seeds of one kind of draw.

    Attributes:
        name: `module.draw`; a literal that stands at one place in the package.
    """

    name: str

    def __call__(self, seed: tf.Tensor, index: int = 0) -> tf.Tensor:
        """Fold the name into a seed.

        Args:
            seed: int `(2,)`, of an example or of another stream.
            index: tells repeated draws of one kind apart, such as those of a network's layers; in
                [0, 2**31).

        Returns:
            int64 `(2,)`, a seed for `tf.random.stateless_uniform` and the like.
        """
        assert 0 <= index <= _LARGEST_INDEX, f"expected an index of 0 or more; found {index}"
        constant = (index << 32) + zlib.crc32(self.name.encode())
        return tf.random.experimental.stateless_fold_in(seed, tf.constant(constant, tf.int64))

    def uniform(
        self, seed: tf.Tensor, shape: Sequence[int | tf.Tensor], low: float = 0.0, high: float = 1.0
    ) -> tf.Tensor:
        """Draw float32 numbers of a shape, uniform in [low, high)."""
        return tf.random.stateless_uniform(shape, self(seed), low, high)

    def normal(self, seed: tf.Tensor, shape: Sequence[int | tf.Tensor]) -> tf.Tensor:
        """Draw float32 numbers of a shape from the standard normal distribution."""
        return tf.random.stateless_normal(shape, self(seed))


def example_seed(seed: int, number: tf.Tensor) -> tf.Tensor:
    """The seed of one example: a pure function of the run's seed and the example's number.

    Draw from it by a `Stream` only: shuffling draws from seeds of this form.

    Args:
        seed: of the run.
        number: int64 scalar, the example's place in the stream of examples.

    Returns:
        int64 `(2,)`.
    """
    return tf.stack([tf.constant(seed, tf.int64), number])
