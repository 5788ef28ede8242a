"""The user's own images, described by a CSV table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import IMAGE_SUFFIXES, is_hidden, scan_images
from melanoma_tf.datasets.lesion import Lesion, Listing
from melanoma_tf.datasets.readers.folders import layout_error, require_folder, split_named
from melanoma_tf.datasets.readers.own_data import OwnDataSettings, own_diagnosis
from melanoma_tf.datasets.readers.tables import Row, checked_key, read_table
from melanoma_tf.datasets.source import Source
from melanoma_tf.datasets.vocabularies import ANY_WORDS


@dataclass(frozen=True)
class CsvColumns(OwnDataSettings):
    """Options of the source `csv`, mostly names of columns; "" means that the table has none.

    See also `OwnDataSettings`.

    Attributes:
        labels: the table, in the data's folder; "" takes the only `*.csv` there.
        image: column with the image's file name, or its path below the data's folder, with or
            without suffix.
        diagnosis: column with the diagnosis, in any word of `vocabularies.ANY_WORDS`; another word
            is kept and has no class.
        mask: column with the lesion mask's file name or path.
        split: column with `train`, `validation` or `test`.
        lesion: column with an id that images of one lesion share.
        patient: column with an id that images of one patient share.
        age: column with the age in years.
        sex: column with `female` or `male`.
        site: column with the anatomical site.
        links: `refuse` or `follow` symbolic links that lead out of the folder, as those of a
            cache of dvc do.
    """

    name: str = "csv"
    labels: str = ""
    image: str = "image"
    diagnosis: str = "diagnosis"
    mask: str = ""
    split: str = ""
    lesion: str = ""
    patient: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    links: str = "refuse"

    def __post_init__(self) -> None:
        if self.links not in ("refuse", "follow"):
            raise MelanomaError(
                f"{self.name}: expected links=refuse or links=follow; found {self.links!r}"
            )

    def columns(self) -> tuple[str, ...]:
        """List the columns that the table must have."""
        optional = (self.mask, self.split, self.lesion, self.patient, self.age, self.sex, self.site)
        return (self.image, self.diagnosis, *filter(None, optional))


def list_csv(folder: Path, settings: CsvColumns | None = None) -> Listing:
    """List the rows of a table, with images in the same folder or below it.

    The key is the image's path below the folder as the table writes it, without suffix and with `_`
    between its parts. A file name without a path is sought in all sub-folders. Rows without an
    image file are counted as missing, photographs without a row as unlabelled.

    Raises:
        MelanomaError: the table is absent or faulty, names an image twice, names a file that
            several sub-folders have, or has a path that leads out of the folder, directly or
            through a symbolic link (unless `links` is `follow`).
    """
    columns = settings or CsvColumns()
    require_folder(folder, columns.name)
    files = _Files(folder, columns)
    lesions: dict[str, Lesion] = {}
    missing: dict[str, None] = {}
    for row in read_table(_table(folder, columns), columns.columns()):
        key = _key(row, columns.image)
        if key in lesions or key in missing:
            raise MelanomaError(f"{row.place}: expected each image once, found {key} again")
        image = files.of(row, columns.image)
        if image is None:
            missing[key] = None
        else:
            mask = files.of(row, columns.mask) if columns.mask else None
            lesions[key] = _lesion(row, key, image, mask, columns)
    used = {path for each in lesions.values() for path in (each.image_path, each.mask_path)}
    unused = [path for path in files.scan.images.values() if path not in used]
    return Listing(
        columns.name,
        tuple(lesions.values()),
        tuple(missing),
        columns.licence,
        columns.attribution,
        unlabelled=tuple(str(path.relative_to(folder).with_suffix("")) for path in unused),
        passed_over=tuple(each for each in files.scan.passed_over if each.path not in used),
    )


def _table(folder: Path, columns: CsvColumns) -> Path:
    if columns.labels:
        return _inside(folder, columns.labels, f"{columns.name}: option labels")
    tables = sorted(path for path in folder.glob("*.csv") if not is_hidden(path.name))
    if len(tables) != 1:
        raise layout_error(columns.name, folder, "one table *.csv (or the option labels=FILE)")
    return tables[0]


def _key(row: Row, column: str) -> str:
    parts = PurePosixPath(row.cells[column].replace("\\", "/")).parts
    for part in parts or ("",):
        checked_key(part, row.place)
    stem = parts[-1]
    last = Path(stem).stem if Path(stem).suffix.lower() in IMAGE_SUFFIXES else stem
    return "_".join((*parts[:-1], last))


class _Files:
    """The image files of a folder, found by what a table's cell says."""

    def __init__(self, folder: Path, columns: CsvColumns):
        self.folder, self.columns = folder, columns
        self.scan = scan_images(folder, below=True)
        self.by_name: dict[str, list[Path]] = {}
        other = [each.path for each in self.scan.passed_over]
        for path in (*self.scan.images.values(), *self.scan.masks.values(), *other):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                self.by_name.setdefault(path.name, []).append(path)
                self.by_name.setdefault(path.stem, []).append(path)

    def of(self, row: Row, column: str) -> Path | None:
        """Find the file that a cell names, with or without its suffix and its folders."""
        value = row.cells[column].replace("\\", "/")
        if not value:
            return None
        path = self._inside(value, row.place)
        if path.is_file():
            return path
        candidates = self.by_name.get(path.name, [])
        beside = [each for each in candidates if each.parent == path.parent]
        if "/" in value or beside:
            # Of several suffixes, the preferred one comes first.
            found = min(beside, key=_preference, default=None)
        else:
            if len({each.parent for each in candidates}) > 1:
                shown = ", ".join(str(each.relative_to(self.folder)) for each in candidates[:2])
                raise MelanomaError(
                    f"{row.place}: expected one file named {value}; found {shown}; write the path"
                )
            found = min(candidates, key=_preference, default=None)
        return found and self._inside(str(found.relative_to(self.folder)), row.place)

    def _inside(self, value: str, place: str) -> Path:
        return _inside(self.folder, value, place, follow=self.columns.links == "follow")


def _inside(folder: Path, value: str, place: str, *, follow: bool = False) -> Path:
    """Join a path to the folder; it must lie in the folder, also with links resolved."""
    path = folder / value
    if Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder)):
        if follow or folder.resolve() in path.resolve().parents:
            return path
        raise MelanomaError(
            f"{place}: expected a path inside {folder}; {value!r} is a link that leads out of it: "
            "links=follow takes it"
        )
    raise MelanomaError(f"{place}: expected a path inside {folder}, found {value!r}")


def _preference(path: Path) -> int:
    return IMAGE_SUFFIXES.index(path.suffix.lower())


def _lesion(row: Row, key: str, image: Path, mask: Path | None, columns: CsvColumns) -> Lesion:
    said = row.text(columns.split) if columns.split else "train"
    split = split_named(said)
    if split is None:
        raise MelanomaError(f"{row.place}: expected train, validation or test; found {said!r}")
    sex = row.text(columns.sex).lower()
    return Lesion(
        key=key,
        image_path=image,
        mask_path=mask,
        diagnosis=own_diagnosis(row.text(columns.diagnosis)),
        source=columns.name,
        split=split,
        lesion_id=row.text(columns.lesion) or None,
        patient_id=row.text(columns.patient) or None,
        age=row.age(columns.age),
        sex={"f": "female", "m": "male"}.get(sex, sex if sex in {"female", "male"} else None),
        site=row.text(columns.site) or None,
    )


CSV = Source("csv", list_csv, settings=CsvColumns, vocabulary=ANY_WORDS)
