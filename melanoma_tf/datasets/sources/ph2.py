"""PH2: 80 common nevi, 80 atypical nevi and 40 melanomas, with lesion masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.diagnoses import diagnosis_of
from melanoma_tf.datasets.image_files import images_in
from melanoma_tf.datasets.lesion import Listing
from melanoma_tf.datasets.readers.challenge import join_images
from melanoma_tf.datasets.readers.folders import first_file, layout_error, require_folder
from melanoma_tf.datasets.readers.label_files import LabelRow
from melanoma_tf.datasets.readers.tables import checked_key
from melanoma_tf.datasets.source import LabelFile, Source

_TABLES = ("PH2_dataset.txt", "PH2_dataset.xlsx")
_CODES = {"0": "nevus", "1": "atypical_nevus", "2": "melanoma"}
# Columns of the workbook that contain a cross -> the code of the text table.
_CROSSES = {"common nevus": "0", "atypical nevus": "1", "melanoma": "2"}


def list_ph2(folder: Path) -> Listing:
    """List PH2 in its official layout; it has no split: `train`.

    `PH2 Dataset images/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp`, the mask
    `IMD002/IMD002_lesion/IMD002_lesion.bmp`, labels in `PH2_dataset.txt` or `PH2_dataset.xlsx`;
    the folder may also be that of the images. Atypical nevi are a separate diagnosis: taxonomies
    of three classes leave them out, as the paper does with 80 nevi from PH2. https://www.fc.up.pt/addi/ph2%20database.html
    """
    require_folder(folder, "ph2")
    places = (folder, folder / "PH2Dataset", folder.parent)
    table = next((path for place in places if (path := first_file(place, *_TABLES))), None)
    if table is None:
        raise layout_error("ph2", folder, " or ".join(_TABLES))
    rows = read_labels(table)
    roots = (folder / "PH2 Dataset images", folder / "PH2Dataset" / "PH2 Dataset images", folder)
    root = next(path for path in roots if path.is_dir())
    images = {
        row.key: _only(root / row.key / f"{row.key}_Dermoscopic_Image", row.key) for row in rows
    }
    masks = {
        row.key: _only(root / row.key / f"{row.key}_lesion", f"{row.key}_lesion") for row in rows
    }
    lesions, missing = join_images(
        "ph2",
        "train",
        rows,
        {key: path for key, path in images.items() if path},
        {key: path for key, path in masks.items() if path},
    )
    return Listing("ph2", lesions, missing)


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
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise MelanomaError(
            f"{path}: expected openpyxl to read a workbook (pip install openpyxl), or the same"
            f" table as {_TABLES[0]} in that folder"
        ) from None
    workbook = load_workbook(path, read_only=True, data_only=True)
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


def _only(folder: Path, stem: str) -> Path | None:
    return images_in(folder).get(stem)


def _is_label_file(path: Path, first_line: tuple[str, ...]) -> bool:
    return path.suffix.lower() in {".txt", ".xlsx"}


PH2 = Source(
    "ph2",
    list_ph2,
    licence="research and educational use only",
    attribution="Mendonca, Ferreira, Marques, Marcal, Rozeira. PH2 - A dermoscopic image database"
    " for research and benchmarking. EMBC 2013, doi:10.1109/EMBC.2013.6610779",
    vocabulary=_CODES,
    label_files=(LabelFile(read_labels, recognize=_is_label_file, classes=tuple(_CODES.values())),),
)
