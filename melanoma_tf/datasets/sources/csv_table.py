"""The user's own images, described by a CSV table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.image_files import DATASET_SUFFIXES, files_by_stem, has_suffix
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

    def columns(self) -> tuple[str, ...]:
        """List the columns that the table must have."""
        optional = (self.mask, self.split, self.lesion, self.patient, self.age, self.sex, self.site)
        return (self.image, self.diagnosis, *filter(None, optional))


def list_csv(folder: Path, settings: CsvColumns | None = None) -> Listing:
    """List the rows of a table, with images in the same folder or below it.

    The key is the image's path below the folder, without suffix and with `_` between its parts.
    Rows without an image file are counted as missing.

    Raises:
        MelanomaError: the table is absent or faulty, names an image twice, or has a path that
            leads out of the folder, directly or through a symbolic link.
    """
    columns = settings or CsvColumns()
    require_folder(folder, columns.name)
    table = _table(folder, columns)
    stems: dict[Path, dict[str, Path]] = {}
    lesions: dict[str, Lesion] = {}
    missing: dict[str, None] = {}
    for row in read_table(table, columns.columns()):
        key = _key(row, columns.image)
        if key in lesions or key in missing:
            raise MelanomaError(f"{row.place}: expected each image once, found {key} again")
        image = _file(folder, row, columns.image, stems)
        if image is None:
            missing[key] = None
        else:
            mask = _file(folder, row, columns.mask, stems) if columns.mask else None
            lesions[key] = _lesion(row, key, image, mask, columns)
    listed = (tuple(lesions.values()), tuple(missing))
    return Listing(columns.name, *listed, columns.licence, columns.attribution)


def _table(folder: Path, columns: CsvColumns) -> Path:
    if columns.labels:
        return _inside(folder, columns.labels, f"{columns.name}: option labels")
    tables = sorted(folder.glob("*.csv"))
    if len(tables) != 1:
        raise layout_error(columns.name, folder, "one table *.csv (or the option labels=FILE)")
    return tables[0]


def _key(row: Row, column: str) -> str:
    parts = PurePosixPath(row.cells[column].replace("\\", "/")).parts
    for part in parts or ("",):
        checked_key(part, row.place)
    stem = parts[-1]
    last = Path(stem).stem if has_suffix(Path(stem), DATASET_SUFFIXES) else stem
    return "_".join((*parts[:-1], last))


def _file(folder: Path, row: Row, column: str, stems: dict[Path, dict[str, Path]]) -> Path | None:
    """Find the file that a cell names, with or without its suffix."""
    value = row.cells[column].replace("\\", "/")
    if not value:
        return None
    path = _inside(folder, value, row.place)
    if path.is_file():
        return path
    if path.parent not in stems:
        stems[path.parent] = files_by_stem(path.parent)
    found = stems[path.parent].get(path.name)
    return None if found is None else _inside(folder, str(found.relative_to(folder)), row.place)


def _inside(folder: Path, value: str, place: str) -> Path:
    """Join a path to the folder; with links resolved it must still lie in the folder."""
    path = folder / value
    root = folder.resolve()
    if root not in path.resolve().parents:
        raise MelanomaError(f"{place}: expected a path inside {folder}, found {value!r}")
    return path


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
        age=row.number(columns.age),
        sex={"f": "female", "m": "male"}.get(sex, sex if sex in {"female", "male"} else None),
        site=row.text(columns.site) or None,
    )


CSV = Source("csv", list_csv, settings=CsvColumns, vocabulary=ANY_WORDS)
