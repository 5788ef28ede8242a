"""The data sets that `build-records` knows by name, and the form in which a user names them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.mirror import mirrored
from melanoma_tf.core.urls import is_remote
from melanoma_tf.datasets.diagnoses import slug
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.label_files import (
    LABEL_COLUMN,
    LabelRow,
    any_one_hot_labels,
    class_columns,
    word_labels,
)
from melanoma_tf.datasets.readers.tables import KEY_COLUMNS, read_header
from melanoma_tf.datasets.source import LabelForm, Source
from melanoma_tf.datasets.sources.csv_table import CSV
from melanoma_tf.datasets.sources.derm7pt import DERM7PT
from melanoma_tf.datasets.sources.dermofit import DERMOFIT
from melanoma_tf.datasets.sources.folder import FOLDER
from melanoma_tf.datasets.sources.ham10000 import HAM10000
from melanoma_tf.datasets.sources.isic2016 import ISIC2016
from melanoma_tf.datasets.sources.isic2017 import ISIC2017
from melanoma_tf.datasets.sources.isic2018 import ISIC2018
from melanoma_tf.datasets.sources.isic2019 import ISIC2019
from melanoma_tf.datasets.sources.isic2020 import ISIC2020
from melanoma_tf.datasets.sources.isic2024 import ISIC2024
from melanoma_tf.datasets.sources.isic_archive import ISIC_ARCHIVE
from melanoma_tf.datasets.sources.milk10k import MILK10K
from melanoma_tf.datasets.sources.ph2 import PH2
from melanoma_tf.datasets.vocabularies import ANY_WORDS

SOURCES: tuple[Source, ...] = (
    ISIC2016,
    ISIC2017,
    ISIC2018,
    ISIC2019,
    ISIC2020,
    ISIC2024,
    MILK10K,
    HAM10000,
    ISIC_ARCHIVE,
    PH2,
    DERM7PT,
    DERMOFIT,
    FOLDER,
    CSV,
)
_NOT_CSV = (".txt", ".xlsx")


@dataclass(frozen=True)
class SourceRequest:
    """A source as a user names it on the command line.

    Attributes:
        name: name of one of `SOURCES`.
        folder: the data set.
        options: for the source's settings.
    """

    name: str
    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)


def parse_source(text: str) -> SourceRequest:
    """Read `NAME=DIR` or `NAME=DIR,OPTION=VALUE,...`.

    `csv=DIR,labels=table.csv,image=file,diagnosis=dx,patient=case`. A comma that is not followed by
    the name of an option and `=` belongs to the folder or value before it.

    Raises:
        MelanomaError: the text has another form, or the source is unknown.
    """
    name, separator, rest = text.partition("=")
    if not separator or not rest:
        raise MelanomaError(f"expected NAME=DIR, such as isic2017=DIR; found {text!r}")
    pattern = "|".join(option_names(source_named(name)))
    pieces = re.split(rf",({pattern})=", rest) if pattern else [rest]
    options = dict(zip(pieces[1::2], pieces[2::2]))
    return SourceRequest(name, Path(pieces[0]), options)


def source_named(name: str) -> Source:
    """Return the source of that name.

    Raises:
        MelanomaError: the name is unknown; the message lists the known ones.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    names = ", ".join(source.name for source in SOURCES)
    raise MelanomaError(f"expected a source out of {names}; found {name!r}")


def option_names(source: Source) -> tuple[str, ...]:
    """List the options of a source."""
    return () if source.settings is None else tuple(each.name for each in fields(source.settings))


def list_source(
    source: str | Source, folder: Path | str, options: Mapping[str, str] | None = None
) -> Listing:
    """List the images and labels in a data set's folder.

    Args:
        source: name of one of `SOURCES`, or any `Source`, such as one defined outside the package.
        folder: the data set in the layout that the source reads. That of a URL is copied into the
            cache first, see `core.mirror`.
        options: for the source's settings.

    Raises:
        MelanomaError: the source or an option is unknown, or the folder has another layout.

    Example:
        >>> import melanoma_tf as mt
        >>> listing = mt.list_source("isic2017", "phantoms")
        >>> len(listing.lesions), listing.licence
        (60, 'CC0-1.0')
    """
    source = source_named(source) if isinstance(source, str) else source
    if source.archive and source not in SOURCES:
        # Later commands know a source by its name only, and could not find its archive.
        raise MelanomaError(
            f"{source.name}: expected a source outside the catalogue to have no archive; "
            f"found {source.archive!r}"
        )
    settings = {"settings": _settings(source, options)} if options else {}
    folder = mirrored(Path(folder)) if is_remote(folder) else Path(folder)
    found = source.list(folder, **settings)
    return replace(
        found,
        licence=found.licence or source.licence,
        attribution=found.attribution or source.attribution,
    )


@dataclass(frozen=True)
class LabelTable:
    """A label file's rows and what they tell.

    Attributes:
        rows: one per image.
        form: what the file tells of an image, see `LabelFile`.
        classes: diagnoses that it tells apart, where `form` is `classes`.
    """

    rows: tuple[LabelRow, ...]
    form: LabelForm
    classes: tuple[str, ...]


def read_labels(path: Path) -> Sequence[LabelRow]:
    """Read any label file, without its images; see `read_label_table`."""
    return read_label_table(path).rows


def read_label_table(path: Path) -> LabelTable:
    """Read a label file of any source, or a table with a column `label` or one column per class.

    Raises:
        MelanomaError: the file has no such form, or is faulty.
    """
    header = first_line(path)
    files = [(file, source.vocabulary) for source in SOURCES for file in source.label_files]
    fitting = [each for each in files if each[0].fits(path, header)]
    if fitting:
        file, vocabulary = max(fitting, key=lambda each: len(each[0].columns))
        columns = [(vocabulary or {}).get(slug(name), "") for name in header]
        # In the order of the columns, if each class has one.
        classes = [name for name in columns if name in file.classes]
        complete = set(classes) == set(file.classes)
        ordered = tuple(classes) if complete else file.classes
        return LabelTable(tuple(file.read(path)), file.form, ordered)
    if LABEL_COLUMN in header:
        return LabelTable(word_labels(path), "words", ())
    if not set(KEY_COLUMNS) & set(header):
        raise MelanomaError(
            f"{path}: expected an official label file of ISIC 2016 to 2025, HAM10000, PH2 or the "
            f"ISIC archive, or a table with image_id and label; found the columns "
            f"{', '.join(header[:9])}"
        )
    rows = any_one_hot_labels(path)
    words = [ANY_WORDS.get(slug(name), name) for name in class_columns(header)]
    return LabelTable(rows, "classes", tuple(words))


def first_line(path: Path) -> tuple[str, ...]:
    """Read the cells in the first line of a label file; () for PH2's files, which are not CSV."""
    return () if path.suffix.lower() in _NOT_CSV else read_header(path)


def _settings(source: Source, options: Mapping[str, str]) -> Any:
    unknown = [option for option in options if option not in option_names(source)]
    if unknown or source.settings is None:
        known = ", ".join(option_names(source)) or "none"
        raise MelanomaError(
            f"{source.name}: expected options out of: {known}; found {unknown[0]!r}"
        )
    if "name" in options:
        _check_name(source, options["name"])
    return source.settings(**options)


def _check_name(source: Source, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise MelanomaError(f"{source.name}: expected a name of letters and digits, found {name!r}")
    if name != source.name and name in [known.name for known in SOURCES]:
        raise MelanomaError(
            f"{source.name}: expected a name that no other source has, found {name!r}"
        )
