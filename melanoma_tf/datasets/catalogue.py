"""The data sets that can be read, by name, and how a user names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.archive import list_isic2024, list_isic_archive
from melanoma_tf.datasets.folder import FolderSettings, list_dermofit, list_folder
from melanoma_tf.datasets.isic import (
    list_ham10000,
    list_isic2016,
    list_isic2017,
    list_isic2018,
    list_isic2019,
    list_isic2020,
)
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.own_table import CsvColumns, list_csv
from melanoma_tf.datasets.ph2 import list_ph2
from melanoma_tf.datasets.splits import same_pictures

SOURCES: dict[str, Callable[..., Listing]] = {
    "isic2016": list_isic2016,
    "isic2017": list_isic2017,
    "isic2018": list_isic2018,
    "isic2019": list_isic2019,
    "isic2020": list_isic2020,
    "isic2024": list_isic2024,
    "ham10000": list_ham10000,
    "isic-archive": list_isic_archive,
    "ph2": list_ph2,
    "dermofit": list_dermofit,
    "folder": list_folder,
    "csv": list_csv,
}

# Sources with options; the fields of the settings are the options' names.
SETTINGS: dict[str, type] = {"folder": FolderSettings, "csv": CsvColumns}


@dataclass(frozen=True)
class SourceRequest:
    """A source as a user names it on the command line.

    Attributes:
        name: a key of `SOURCES`.
        folder: the data.
        options: of the sources in `SETTINGS`.
    """

    name: str
    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)


def parse_source(text: str) -> SourceRequest:
    """Read `NAME=DIR` or `NAME=DIR,OPTION=VALUE,...`.

    `csv=DIR,labels=table.csv,image=file,diagnosis=dx,patient=case`. A comma that is not followed by
    the name of an option and `=` belongs to the folder or value before it.

    Raises:
        MelanomaError: the text has another form, or there is no such source.
    """
    name, separator, rest = text.partition("=")
    if not separator or not rest:
        raise MelanomaError(f"expected NAME=DIR, such as isic2017=DIR; found {text!r}")
    _require_known(name)
    pattern = "|".join(option_names(name))
    pieces = re.split(rf",({pattern})=", rest) if pattern else [rest]
    options = dict(zip(pieces[1::2], pieces[2::2]))
    return SourceRequest(name, Path(pieces[0]), options)


def option_names(name: str) -> tuple[str, ...]:
    """The options of a source."""
    return tuple(option.name for option in fields(SETTINGS[name])) if name in SETTINGS else ()


def list_source(name: str, folder: Path, options: Mapping[str, str] | None = None) -> Listing:
    """What a data set's folder holds.

    Args:
        name: a key of `SOURCES`.
        folder: the data set in its official layout.
        options: of the sources in `SETTINGS`: fields of `FolderSettings` or `CsvColumns`.

    Raises:
        MelanomaError: there is no such source or option, or the folder is not in its layout.
    """
    _require_known(name)
    adapter = SOURCES[name]
    if options:
        adapter = partial(SOURCES[name], settings=_settings(name, options))
    return adapter(Path(folder))


def known_links(listings: Iterable[Listing]) -> Iterator[tuple[str, str]]:
    """Pairs of keys that are known to show the same picture, for `splits.group_lesions`.

    They are found by name (`ISIC_0012345_downsampled` is `ISIC_0012345`; one ISIC id in two
    sources gives the pair of that id with itself) and in the sources' own lists of duplicates
    (that of ISIC 2020, where it lies in the folder). Pairs of the lists need not all be present.
    """
    listings = list(listings)
    yield from same_pictures([lesion for listing in listings for lesion in listing.lesions])
    for listing in listings:
        yield from listing.links


def _settings(name: str, options: Mapping[str, str]) -> Any:
    unknown = [option for option in options if option not in option_names(name)]
    if unknown:
        known = ", ".join(option_names(name)) or "none"
        raise MelanomaError(f"{name}: expected options out of: {known}; found {unknown[0]!r}")
    settings = SETTINGS[name](**options)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", settings.name):
        raise MelanomaError(
            f"{name}: expected a name of letters and digits, found {settings.name!r}"
        )
    if settings.name in SOURCES and settings.name != name:
        raise MelanomaError(
            f"{name}: expected a name of its own, found {settings.name!r}, a source"
        )
    return settings


def _require_known(name: str) -> None:
    if name not in SOURCES:
        raise MelanomaError(f"expected a source out of {', '.join(SOURCES)}; found {name!r}")
