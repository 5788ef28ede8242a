"""PH2: 80 common nevi, 80 atypical nevi and 40 melanomas, with lesion masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.core.files import refuse_special
from melanoma_tf.datasets.diagnoses import diagnosis_of
from melanoma_tf.datasets.image_files import PassedOver, scan_images
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.folders import first_file, layout_error, require_folder
from melanoma_tf.datasets.readers.joining import join_images
from melanoma_tf.datasets.readers.label_files import LabelRow
from melanoma_tf.datasets.readers.tables import checked_key
from melanoma_tf.datasets.source import LabelFile, Source

_TABLES = ("PH2_dataset.xlsx", "PH2_dataset.txt")
_ATYPICAL = "atypical_nevus"
_CODES = {"0": "nevus", "1": _ATYPICAL, "2": "melanoma"}
# Columns of the workbook that contain a cross -> the code of the text table.
_CROSSES = {"common nevus": "0", "atypical nevus": "1", "melanoma": "2"}


@dataclass(frozen=True)
class Ph2Settings:
    """Options of the source `ph2`.

    Attributes:
        atypical: `apart` keeps atypical nevi as a diagnosis of their own, which the taxonomy of
            three classes leaves out, as the paper does with 80 nevi from PH2; `nevus` counts them
            as nevi.
    """

    atypical: str = "apart"

    def __post_init__(self) -> None:
        if self.atypical not in ("apart", "nevus"):
            raise MelanomaError(
                f"ph2: expected atypical=apart or atypical=nevus; found {self.atypical!r}"
            )


def list_ph2(folder: Path, settings: Ph2Settings | None = None) -> Listing:
    """List PH2 in its official layout; it has no split: `train`.

    `PH2 Dataset images/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp`, the mask
    `IMD002/IMD002_lesion/IMD002_lesion.bmp`, labels in `PH2_dataset.xlsx` or `PH2_dataset.txt`;
    the folder may also be that of the images. https://www.fc.up.pt/addi/ph2%20database.html

    Raises:
        MelanomaError: there is no table, or none in PH2's form.
    """
    settings = settings or Ph2Settings()
    require_folder(folder, "ph2")
    places = (folder, folder / "PH2Dataset", folder.parent)
    tables = [path for place in places for name in _TABLES if (path := first_file(place, name))]
    if not tables:
        raise layout_error("ph2", folder, " or ".join(_TABLES))
    rows, other_tables = _first_readable(tables)
    if settings.atypical == "nevus":
        rows = tuple(
            replace(row, diagnosis="nevus") if row.diagnosis == _ATYPICAL else row for row in rows
        )
    roots = (folder / "PH2 Dataset images", folder / "PH2Dataset" / "PH2 Dataset images", folder)
    found = join_images("ph2", "train", rows, scan_images(_first_folder(roots), below=True))
    return replace(found, passed_over=(*other_tables, *found.passed_over))


def _first_readable(
    tables: Sequence[Path],
) -> tuple[tuple[LabelRow, ...], tuple[PassedOver, ...]]:
    """Read the first table in PH2's form; the others before it are passed over."""
    faulty: list[MelanomaError] = []
    for path in tables:
        try:
            rows = read_labels(path)
        except MelanomaError as error:
            faulty.append(error)
        else:
            return rows, tuple(map(_faulty_table, tables, faulty))
    raise faulty[0]


def _faulty_table(path: Path, error: MelanomaError) -> PassedOver:
    # Reasons travel with the records, local folders stay private.
    return PassedOver(path, f"table ({str(error).replace(str(path), path.name)})")


def _first_folder(places: Iterable[Path]) -> Path:
    return next(path for path in places if path.is_dir())


def read_labels(path: Path) -> tuple[LabelRow, ...]:
    """Read the rows of `PH2_dataset.txt` or `PH2_dataset.xlsx`.

    Raises:
        MelanomaError: the file is not in PH2's form, or names an image twice.
    """
    cells = _text_cells(path) if path.suffix.lower() == ".txt" else _workbook_cells(path)
    found: dict[str, LabelRow] = {}
    for name, code in cells:
        diagnosis = diagnosis_of(_CODES, code)
        if diagnosis is None:
            raise MelanomaError(f"{path}: expected diagnosis 0, 1 or 2 for {name}, found {code!r}")
        if checked_key(name, str(path)) in found:
            raise MelanomaError(f"{path}: expected each image once, found {name} twice")
        found[name] = LabelRow(name, diagnosis)
    if not found:
        raise MelanomaError(f"{path}: expected rows of PH2 images (IMD002 ...), found none")
    return tuple(found.values())


def _text_cells(path: Path) -> list[tuple[str, str]]:
    """Read name and clinical diagnosis from lines such as `|| IMD003 ||  ||  0  || 0 || ...`."""
    refuse_special(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MelanomaError(f"{path}: expected PH2's text table, found {error}") from None
    table = [[cell.strip() for cell in line.split("||")] for line in lines if "||" in line]
    header = next((cells for cells in table if "Name" in cells), [])
    if "Clinical Diagnosis" not in header:
        raise MelanomaError(f"{path}: expected a line || Name || ... || Clinical Diagnosis ||")
    name, clinical = header.index("Name"), header.index("Clinical Diagnosis")
    rows = [cells for cells in table if len(cells) > clinical and cells[name].startswith("IMD")]
    return [(cells[name], cells[clinical]) for cells in rows]


def _workbook_cells(path: Path) -> list[tuple[str, str]]:
    """Read name and diagnosis code from the workbook, which marks the diagnosis with a cross."""
    # Imported here, since only this data set needs it.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
    except (OSError, KeyError, BadZipFile, InvalidFileException) as error:
        raise MelanomaError(f"{path}: expected an Excel workbook, found {error}") from None
    try:
        rows = [list(map(_plain, values)) for values in workbook.worksheets[0].values]
    finally:
        workbook.close()
    start = next((index for index, row in enumerate(rows) if "image name" in row), None)
    if start is None or not set(_CROSSES) <= set(rows[start]):
        raise MelanomaError(f"{path}: expected a row with Image Name and {', '.join(_CROSSES)}")
    header = rows[start]
    return [_crossed(dict(zip(header, row))) for row in rows[start + 1 :] if any(row)]


def _crossed(cells: dict[str, str]) -> tuple[str, str]:
    codes: Iterable[str] = (code for column, code in _CROSSES.items() if cells[column])
    return cells["image name"].upper(), " and ".join(codes)


def _plain(value: object) -> str:
    return "" if value is None else " ".join(str(value).split()).lower()


def _is_label_file(path: Path, first_line: tuple[str, ...]) -> bool:
    return path.suffix.lower() in {".txt", ".xlsx"}


PH2 = Source(
    "ph2",
    list_ph2,
    licence="research and educational use only",
    attribution="Mendonca, Ferreira, Marques, Marcal, Rozeira. PH2 - A dermoscopic image database"
    " for research and benchmarking. EMBC 2013, doi:10.1109/EMBC.2013.6610779",
    settings=Ph2Settings,
    vocabulary=_CODES,
    label_files=(LabelFile(read_labels, recognize=_is_label_file, classes=tuple(_CODES.values())),),
)
