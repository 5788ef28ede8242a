"""Parts of a training's examples, divided by record files: a worker reads no file of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError


@dataclass(frozen=True)
class Part:
    """One of several streams of examples that together make the batches of a training.

    A batch has the same number of examples of each part. Files are dealt out in turn; a part with
    fewer examples than another repeats sooner.

    Attributes:
        index: place among the parts, from 0 on.
        count: number of parts.

    Example:
        >>> Part(1, 2).files([Path("a"), Path("b"), Path("c"), Path("d")], "a, b")
        [PosixPath('b'), PosixPath('d')]
        >>> Part(1, 2).share(12)
        6
    """

    index: int = 0
    count: int = 1

    def files(self, paths: Sequence[Path], where: object) -> list[Path]:
        """Return the files of this part.

        Args:
            paths: all files of a split.
            where: how errors name the records.

        Raises:
            MelanomaError: there are fewer files than parts.
        """
        if len(paths) < self.count:
            raise MelanomaError(
                f"{where}: expected at least {self.count} training shards, one for each part of "
                f"the input; found {len(paths)}. Build the records with --shards {self.count} or "
                "more, or train on fewer workers"
            )
        return list(paths[self.index :: self.count])

    def share(self, examples: int) -> int:
        """Return how many of some examples belong to this part; they are divided equally."""
        shared, left = divmod(examples, self.count)
        if left:
            raise MelanomaError(
                f"expected a batch size that {self.count} parts of the input can share equally; "
                f"found {examples}"
            )
        return shared

    def number(self, place: Any) -> Any:
        """Return the number of an example: no other part uses it, nor the random draws it seeds.

        Args:
            place: of the example in the stream of this part; an int or an int64 tensor.
        """
        return self.index + self.count * place


WHOLE = Part()
