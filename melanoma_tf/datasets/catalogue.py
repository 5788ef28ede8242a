"""The data sets that can be read, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from melanoma_tf.datasets.isic import list_isic2017
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.errors import MelanomaError

SOURCES: dict[str, Callable[[Path], Listing]] = {
    "isic2017": list_isic2017,
}


@dataclass(frozen=True)
class SourceRequest:
    """A source that a user names on the command line: `isic2017=DIR`."""

    name: str
    folder: Path


def parse_source(text: str) -> SourceRequest:
    """Read `NAME=DIR`.

    Raises:
        MelanomaError: the text has another form, or there is no such source.
    """
    name, separator, folder = text.partition("=")
    if not separator or not folder:
        raise MelanomaError(f"expected NAME=DIR, such as isic2017=DIR; found {text!r}")
    _require_known(name)
    return SourceRequest(name, Path(folder))


def list_source(name: str, folder: Path) -> Listing:
    """What a data set's folder holds.

    Args:
        name: a key of `SOURCES`.
        folder: the data set in its official layout.

    Raises:
        MelanomaError: there is no such source, or the folder is not in its layout.
    """
    _require_known(name)
    return SOURCES[name](Path(folder))


def _require_known(name: str) -> None:
    if name not in SOURCES:
        raise MelanomaError(f"expected a source out of {', '.join(SOURCES)}; found {name!r}")
